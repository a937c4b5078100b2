/** How a server of a bench says that it is ready, and how it ends. */

export function announce(port: number): void {
  process.stdout.write(`${JSON.stringify({ port })}\n`)
  process.on('SIGTERM', () => process.exit(0))
  // A bench that is gone: nothing may be left behind.
  const parent = process.ppid
  setInterval(() => process.ppid === parent || process.exit(0), 500).unref()
}

/** Reads the line that `announce` wrote. */
export function readPort(line: string): number | undefined {
  const read: unknown = JSON.parse(line)
  return typeof read === 'object' && read !== null && 'port' in read ? Number(read.port) : undefined
}
