/** Reads a command's flags: `node:util` `parseArgs`, with its refusals as one usage error. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import type { Io } from './io.ts'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<O extends Options> = ReturnType<typeof parseArgs<{ options: O; strict: true }>>['values']

/** Of every command that loads the configuration; `readPairs` reads what `set` holds. */
export const CONFIGURATION_OPTIONS = { config: { type: 'string' }, set: { type: 'string', multiple: true } } as const

export const SET_HELP =
  '  --set KEY=VALUE     sets a key by its path, repeatable, as for serve; stronger than the environment and the file\n'
export const SET_USAGE = '--set takes KEY=VALUE'

/** Flags, or the exit status where there is nothing more to do: 0 after `--help`, 2 after wrong usage. */
export type Flags<O extends Options> =
  | { readonly ok: true; readonly values: Values<O> }
  | { readonly ok: false; readonly exit: number }

/** No positional arguments (`unexpected` says why): `name` and its `help` are printed where they help. Refused values are never repeated: they may be secrets. */
export function readFlags<const O extends Options>(
  name: string,
  help: string,
  args: readonly string[],
  options: O,
  io: Io,
  unexpected = 'unexpected argument',
): Flags<O> {
  if (args.includes('--help') || args.includes('-h')) {
    io.out(help)
    return { ok: false, exit: 0 }
  }
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false })
    return { ok: true, values }
  } catch (error) {
    return usage(name, help, refusal(error, unexpected), io)
  }
}

/** Says what is wrong, and how it is right. */
export function usage(name: string, help: string, message: string, io: Io): { readonly ok: false; readonly exit: 2 } {
  io.err(`micro-gw-authz ${name}: ${message}\n\n${help}`)
  return { ok: false, exit: 2 }
}

function refusal(error: unknown, unexpected: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return unexpected
  // Only what looks like a flag: a token may begin with hyphens too.
  const option = /'(-{1,2}[a-z][a-z-]{0,20})(?![\w-])/.exec(error instanceof Error ? error.message : '')?.[1]
  if (option === undefined) return 'these flags cannot be read'
  return code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' ? `unknown flag ${option}` : `flag ${option} is not used that way`
}
