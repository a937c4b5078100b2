/** Reads a Dockerfile and repeats its steps in folders, where no container engine can be had. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, posix } from 'node:path'

export interface Instruction {
  readonly name: string
  /** The rest of the line, continuation lines joined, variables as written. */
  readonly text: string
}

export interface Stage {
  readonly from: string
  readonly name: string | undefined
  readonly instructions: readonly Instruction[]
}

export interface Dockerfile {
  /** ARGs before the first FROM, with their defaults. */
  readonly args: Readonly<Record<string, string>>
  readonly stages: readonly Stage[]
}

export function parseDockerfile(text: string): Dockerfile {
  const args: Record<string, string> = {}
  const stages: (Stage & { readonly instructions: Instruction[] })[] = []
  const lines = text
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
  for (const line of lines) {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (name === '') throw new Error(`not an instruction: ${line}`)
    const stage = stages.at(-1)
    if (name === 'FROM') {
      const [, from = '', as] = /^(\S+)(?: AS (\S+))?$/.exec(rest) ?? []
      stages.push({ from: substitute(from, args), name: as, instructions: [] })
    } else if (stage !== undefined) stage.instructions.push({ name, text: rest })
    else if (name === 'ARG') Object.assign(args, assignment(rest))
    else throw new Error(`${name} before the first FROM`)
  }
  return { args, stages }
}

/** The last instruction of that name; the others have no effect. */
export function lastOf(stage: Stage, name: string): string | undefined {
  return stage.instructions.findLast((instruction) => instruction.name === name)?.text
}

/** ["a", "b"]; undefined for the shell form. */
export function execForm(text: string): readonly string[] | undefined {
  if (!text.startsWith('[')) return undefined
  const parsed: unknown = JSON.parse(text)
  return Array.isArray(parsed) && parsed.every((word) => typeof word === 'string') ? parsed : undefined
}

/** Labels with the defaults of ARGs filled in. */
export function labelsOf(stage: Stage): Readonly<Record<string, string>> {
  const args: Record<string, string> = {}
  const labels: Record<string, string> = {}
  for (const { name, text } of stage.instructions) {
    if (name === 'ARG') Object.assign(args, assignment(text))
    if (name !== 'LABEL') continue
    for (const [, key = '', value = ''] of text.matchAll(/(\S+?)="([^"]*)"/g)) labels[key] = substitute(value, args)
  }
  return labels
}

/** What `.dockerignore` lets through: the last matching line counts. Only whole names at the top are understood. */
export function contextFilter(dockerignore: string): (path: string) => boolean {
  const lines = dockerignore.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const odd = lines.filter((line) => !/^(\*|![\w.-]+)$/.test(line))
  if (odd.length > 0 || lines[0] !== '*') throw new Error(`.dockerignore: not understood: ${odd.join(', ')}`)
  const kept = new Set(lines.slice(1).map((line) => line.slice(1)))
  return (path) => kept.has(path.split('/')[0] ?? '')
}

/**
 * Repeats the steps of every stage below `folder`, one root a stage, and returns the last stage's root. The base images
 * are left out: a RUN finds Node and npm on `env.PATH`. Throws for a step that it cannot repeat.
 */
export function repeatSteps(
  { stages }: Dockerfile,
  options: { readonly context: string; readonly folder: string; readonly env: Readonly<Record<string, string>> },
): string {
  const keeps = contextFilter(readFileSync(join(options.context, '.dockerignore'), 'utf8'))
  const roots = new Map<string, string>()
  let root = ''
  for (const [index, stage] of stages.entries()) {
    root = join(options.folder, `stage-${index}`)
    mkdirSync(root, { recursive: true })
    if (stage.name !== undefined) roots.set(stage.name, root)
    let workdir = '/'
    for (const { name, text } of stage.instructions) {
      if (name === 'WORKDIR') {
        workdir = posix.resolve(workdir, text)
        mkdirSync(join(root, workdir), { recursive: true })
      } else if (name === 'COPY') copy(text, root, workdir, { roots, context: options.context, keeps })
      else if (name === 'RUN') run(text, join(root, workdir), options.env)
      else if (!WITHOUT_FILES.has(name)) throw new Error(`${name} cannot be repeated here`)
    }
  }
  return root
}

const WITHOUT_FILES = new Set(['ARG', 'ENV', 'LABEL', 'USER', 'EXPOSE', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD'])

function copy(
  text: string,
  root: string,
  workdir: string,
  sources: {
    readonly roots: ReadonlyMap<string, string>
    readonly context: string
    readonly keeps: (path: string) => boolean
  },
): void {
  const [, from, rest = ''] = /^(?:--from=(\S+) )?((?!--).*)$/.exec(text) ?? []
  const words = rest.split(/\s+/)
  const target = words.pop() ?? ''
  const base = from === undefined ? sources.context : sources.roots.get(from)
  if (base === undefined || words.length === 0) throw new Error(`COPY ${text}: not understood`)
  const destination = join(root, posix.resolve(workdir, target))
  for (const pattern of words) {
    if (from === undefined && !sources.keeps(pattern)) throw new Error(`COPY ${pattern}: .dockerignore keeps it out`)
    const found = globSync(isAbsolute(pattern) ? pattern.slice(1) : pattern, { cwd: base })
    if (found.length === 0) throw new Error(`COPY ${pattern}: there is no such file`)
    for (const path of found) {
      const source = join(base, path)
      // A folder's content is copied, not the folder; a file goes into a folder where the target ends in a slash.
      const into = statSync(source).isFile() && target.endsWith('/') ? join(destination, basename(path)) : destination
      mkdirSync(dirname(into), { recursive: true })
      cpSync(source, into, { recursive: true, verbatimSymlinks: true })
    }
  }
}

function run(command: string, cwd: string, env: Readonly<Record<string, string>>): void {
  if (command.startsWith('--')) throw new Error(`RUN ${command}: options need BuildKit`)
  const { status, stderr, stdout } = spawnSync('/bin/sh', ['-c', command], { cwd, env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`RUN ${command}: exit ${status}\n${stdout}${stderr}`)
}

function assignment(text: string): Record<string, string> {
  const [name = '', ...value] = text.split('=')
  return { [name]: value.join('=').replace(/^"(.*)"$/, '$1') }
}

function substitute(text: string, args: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = args[name]
    if (value === undefined) throw new Error(`\${${name}} has no value`)
    return value
  })
}

/** Whether anything of that name lies on the way from `folder` up to the root: Node would look for modules there. */
export function modulesAbove(folder: string): readonly string[] {
  const above: string[] = []
  for (let at = dirname(folder); ; at = dirname(at)) {
    if (existsSync(join(at, 'node_modules'))) above.push(join(at, 'node_modules'))
    if (at === dirname(at)) return above
  }
}
