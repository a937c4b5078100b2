/** The care a Unix socket's file needs: who may connect, and what an unclean end left behind. */
import { lstat, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'

/**
 * Removes a stale socket file. Only where nobody answers on it: else a second sidecar would silently take the first one's place.
 * @throws Error naming the path, where somebody listens there, the file is no socket, or its folder is missing.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return requireFolder(path)
  if (!found.isSocket())
    throw new Error(`cannot listen on unix:${path}: it exists and is not a socket; remove it or choose another path`)
  const code = await connectionCode(path)
  if (code === 'ENOENT') return
  if (code === undefined) throw new Error(`cannot listen on unix:${path}: another process listens there`)
  if (code !== 'ECONNREFUSED') {
    throw new Error(
      `cannot listen on unix:${path}: whether another process listens there cannot be told (${code}); stop it, or remove the file`,
    )
  }
  await rm(path, { force: true }).catch(() => {
    throw new Error(`cannot listen on unix:${path}: the file left there cannot be removed; check the folder's mode`)
  })
}

/** Runs `bind` under a umask that gives the socket file exactly `mode`: a later chmod would leave it open for a moment. */
export async function withSocketMode<T>(mode: number, bind: () => Promise<T>): Promise<T> {
  const before = process.umask(0o777 & ~mode)
  try {
    return await bind()
  } finally {
    process.umask(before)
  }
}

/** Undefined: somebody answers. `ECONNREFUSED`: nobody does; `EAGAIN`: somebody who has no room; `EACCES`: not ours to ask. */
function connectionCode(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(undefined)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'no code'))
  })
}

/** The system's own word for it, EACCES, would send people to look for a mode. */
async function requireFolder(path: string): Promise<void> {
  const folder = dirname(path)
  const code = await stat(folder).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  )
  if (code !== 'ENOENT') return
  throw new Error(
    `cannot listen on unix:${path}: the folder ${folder} does not exist; create it, or mount the volume shared with Envoy`,
  )
}
