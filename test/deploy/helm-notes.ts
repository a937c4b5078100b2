/** The chart's NOTES.txt as text: helm prints notes only when it installs, even for `show`. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT, readManifests, run } from './kubernetes-rendered.ts'

/** The notes of a copy of the chart in which they are a manifest, for values as an object; throws where helm refuses. */
export function renderNotes(helm: string, chart: string, values: object, ...sets: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'chart-'))
  try {
    cpSync(join(ROOT, chart), folder, { recursive: true })
    const notes = readFileSync(join(folder, 'templates/NOTES.txt'), 'utf8')
    writeFileSync(
      join(folder, 'templates/notes.yaml'),
      `notes: {{ include "notes" . | toJson }}\n{{ define "notes" }}${notes}{{ end }}`,
    )
    const valuesFile = join(folder, 'given.json')
    writeFileSync(valuesFile, JSON.stringify(values))
    const given = ['-f', valuesFile, ...sets.flatMap((set) => ['--set', set])]
    const place = ['template', 'authz', folder, '-n', 'gateway', '--kube-version', '1.37.0']
    const [document] = readManifests(run(helm, ...place, ...given, '-s', 'templates/notes.yaml'))
    const shown: unknown = Object(document).notes
    return typeof shown === 'string' ? shown : ''
  } finally {
    rmSync(folder, { recursive: true })
  }
}
