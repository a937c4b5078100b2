/** `refresh.stateFile`: the rotated refresh token, whole on disk at every instant (product P26). */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Log } from '../authz/ports.ts'

export interface RefreshState {
  readonly file: string
  /** The refresh token of an earlier life of this sidecar; undefined: none that belongs to this configuration. */
  read(): string | undefined
  /**
   * Written beside, flushed, renamed; one after another. Never rejects: a failure is logged. `isReplaced`: by a reload;
   * then what its successor has written meanwhile stays. Default false.
   */
  write(refreshToken: string, isReplaced?: boolean): Promise<void>
}

/** The last write of each file: a reload may make a second state of one that is being written. */
const last = new Map<string, { readonly began: string; readonly written: Promise<void> }>()

/** `origin`: what the rotation began with; a state that began with another (a new configured token) is not used. */
export function createRefreshState(file: string, origin: string, log: Log): RefreshState {
  const began = createHash('sha256').update(origin).digest('hex')
  return {
    file,
    read() {
      const state = readState(file)
      if (state === 'unreadable')
        log.warn('own_token_state_unreadable', { detail: 'refresh.stateFile is not one of ours: it is not used' })
      return typeof state === 'object' && state.beganWith === began ? state.refreshToken : undefined
    },
    write(refreshToken, isReplaced = false) {
      const text = `${JSON.stringify({ began_with: began, refresh_token: refreshToken })}\n`
      const before = last.get(file)
      if (isReplaced && before !== undefined && before.began !== began) return before.written
      const written = (before?.written ?? Promise.resolve()).then(async () => {
        if (await writeWhole(file, text)) return
        log.error('own_token_state_not_written', {
          detail: 'refresh.stateFile cannot be written: after a restart the refresh token will be an old one',
        })
      })
      last.set(file, { began, written })
      return written
    },
  }
}

function readState(file: string): { beganWith: unknown; refreshToken: string } | 'none' | 'unreadable' {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'none' : 'unreadable'
  }
  try {
    const state: unknown = JSON.parse(text)
    if (typeof state !== 'object' || state === null) return 'unreadable'
    const refreshToken = 'refresh_token' in state ? state.refresh_token : undefined
    if (typeof refreshToken !== 'string' || refreshToken === '') return 'unreadable'
    return { beganWith: 'began_with' in state ? state.began_with : undefined, refreshToken }
  } catch {
    return 'unreadable'
  }
}

/** False: it could not be written, and what was there is there. */
async function writeWhole(file: string, text: string): Promise<boolean> {
  const beside = `${file}.${process.pid}.new`
  try {
    await rm(beside, { force: true })
    const handle = await open(beside, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(beside, file)
    await flushFolder(dirname(file))
    return true
  } catch {
    await rm(beside, { force: true }).catch(() => undefined)
    return false
  }
}

/** Makes the rename itself survive a power cut; not every file system offers it. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync().catch(() => undefined)
  } finally {
    await handle.close()
  }
}
