/** `refresh.stateFile`: the rotated refresh token, whole on disk at every instant (product P26). */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface RefreshState {
  readonly file: string
  /** The refresh token of an earlier life of this sidecar; undefined: none that belongs to this configuration. */
  read():
    | { readonly kind: 'token'; readonly token: string }
    | { readonly kind: 'none' }
    | { readonly kind: 'unreadable' }
  /** Written beside, flushed, renamed; one after another. Resolves to false where that failed. */
  write(refreshToken: string): Promise<boolean>
}

/** `origin`: what the rotation began with; a state that began with another (a new configured token) is not used. */
export function createRefreshState(file: string, origin: string): RefreshState {
  const began = createHash('sha256').update(origin).digest('hex')
  let written = Promise.resolve(true)
  return {
    file,
    read() {
      let text: string
      try {
        text = readFileSync(file, 'utf8')
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined
        return code === 'ENOENT' ? { kind: 'none' } : { kind: 'unreadable' }
      }
      try {
        const state: unknown = JSON.parse(text)
        if (typeof state !== 'object' || state === null) return { kind: 'unreadable' }
        const token = 'refresh_token' in state ? state.refresh_token : undefined
        if (typeof token !== 'string' || token === '') return { kind: 'unreadable' }
        return 'began_with' in state && state.began_with === began ? { kind: 'token', token } : { kind: 'none' }
      } catch {
        return { kind: 'unreadable' }
      }
    },
    write(refreshToken) {
      written = written.then(() =>
        writeWhole(file, `${JSON.stringify({ began_with: began, refresh_token: refreshToken })}\n`),
      )
      return written
    },
  }
}

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
