/** Notices changed files by content: a ConfigMap volume swaps a symlink, which no watcher of the file itself sees. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Clock } from '../authz/ports.ts'

/** How often the files are read. */
export const POLL_INTERVAL_MS = 5000

/**
 * Polls every 5 s and calls `onChange` once for each change of any file's content, its coming and going included.
 * `before`: the content to begin with, as `digestOf` says; default: as it is now.
 * The returned function ends it. What `onChange` throws is the caller's to handle.
 */
export function watchFiles(
  files: readonly string[],
  onChange: () => void,
  clock: Clock,
  before = digestOf(files),
): () => void {
  let seen = before
  let cancel = clock.after(POLL_INTERVAL_MS, look)
  function look(): void {
    cancel = clock.after(POLL_INTERVAL_MS, look)
    const now = digestOf(files)
    if (now === seen) return
    seen = now
    onChange()
  }
  return () => cancel()
}

/** Of the content of these files, in this order. */
export function digestOf(files: readonly string[]): string {
  return files.map(contentDigest).join(' ')
}

function contentDigest(file: string): string {
  try {
    return hash('sha256', readFileSync(file))
  } catch {
    // Missing and unreadable are states like any other: leaving them is a change.
    return 'unreadable'
  }
}
