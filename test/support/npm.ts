/** npm as a user runs it: by this process's Node, without what the npm script around the tests put into the environment. */
import { spawnSync } from 'node:child_process'
import { delimiter, dirname } from 'node:path'

/** The environment for npm and what it starts; of npm's own settings those that say where packages come from stay. */
export function userEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined &&
      !/^(npm_(?!config_(registry|cache|userconfig)$)|NODE_(PATH|OPTIONS)$|INIT_CWD$)/i.test(entry[0]),
  )
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  return { ...Object.fromEntries(kept), PATH: [dirname(process.execPath), ...path].join(delimiter) }
}

/** Runs a program and returns its standard output; throws with its output where it fails. */
export function runAsUser(command: readonly string[], cwd: string): string {
  const [program = '', ...args] = command
  const done = spawnSync(program, args, {
    cwd,
    env: userEnvironment(),
    encoding: 'utf8',
    timeout: 120_000,
    maxBuffer: 64 << 20,
  })
  if (done.status === 0) return done.stdout
  throw new Error(`${command.join(' ')}: exit ${done.status}\n${done.stdout}${done.stderr}`)
}
