/** `version`: what runs here. */
import { VERSION } from '../telemetry/version.ts'
import type { Io } from './io.ts'

export const VERSION_HELP = `Usage: micro-gw-authz version

Prints the version of micro-gw-authz and of Node.

Exit status: 0, or 2 after wrong usage.
`

/** Exit status 0; 2: wrong usage. */
export async function runVersion(args: readonly string[], _env: unknown, io: Io): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.out(VERSION_HELP)
    return 0
  }
  if (args.length > 0) {
    io.err(VERSION_HELP)
    return 2
  }
  io.out(`micro-gw-authz ${VERSION} (node ${process.version})\n`)
  return 0
}
