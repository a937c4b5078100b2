/**
 * W3C Trace Context (level 2): what Envoy or the client sends is foreign text that goes out again to the key manager.
 * So it is read by the grammar and written anew; what does not fit is left out, and never repaired.
 */

/** Where a trace stands: what the next span is a child of. */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: string
  /** 16 lower-case hexadecimal digits, not all zero. */
  readonly spanId: string
  /** Bit 0: sampled; bit 1: random trace id. */
  readonly flags: number
  /** `tracestate` as it is sent on; undefined: none. */
  readonly state: string | undefined
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const ALL_ZERO = /^0+$/
const SAMPLED = 0x01
const KNOWN_FLAGS = 0x03

// Section 3.3.1.3: a key, `=`, up to 256 printable characters without `,` and `=`, the last no space.
const MEMBER = /^[a-z0-9][_0-9a-z\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const MOST_MEMBERS = 32
/** Of as many members of 256 + 1 + 256 characters, each behind a comma: what is longer is not looked at. */
const LONGEST_GIVEN = MOST_MEMBERS * 514
/** Around a member. The look-behind: a run of spaces inside is not searched once for each of them. */
const OPTIONAL_SPACE = /^[ \t]+|(?<![ \t])[ \t]+$/g
/** Section 3.3.1.5: at least 512 characters are sent on. No more are: a client could fill the key manager's header limit. */
const LONGEST_STATE = 512
/** What is longer goes first where the whole is too long. */
const LONG_MEMBER = 128

/** `parents` and `states`: the values of `traceparent` and `tracestate`, one for each time the header came. */
export function readTraceContext(parents: readonly string[], states: readonly string[]): TraceContext | undefined {
  const [parent, ...others] = parents
  // Two of them name two parents: neither can be believed.
  if (parent === undefined || others.length > 0) return undefined
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(parent) ?? []
  if (version === undefined || version === 'ff') return undefined
  if (version === '00' && more !== undefined) return undefined
  if (ALL_ZERO.test(traceId) || ALL_ZERO.test(spanId)) return undefined
  // Section 3.2.4: of a version to come the sampled flag alone is understood.
  const known = version === '00' ? KNOWN_FLAGS : SAMPLED
  return { traceId, spanId, flags: Number.parseInt(flags, 16) & known, state: readState(states) }
}

/** The headers of a call that goes on in this trace; version 00, the highest known here. */
export function writeTraceContext({ traceId, spanId, flags, state }: TraceContext): Readonly<Record<string, string>> {
  const traceparent = `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`
  return state === undefined ? { traceparent } : { traceparent, tracestate: state }
}

/** One wrong member makes all of it worthless: undefined. The trace goes on without. */
function readState(states: readonly string[]): string | undefined {
  const joined = states.join(',')
  if (joined.length > LONGEST_GIVEN) return undefined
  const members = joined
    .split(',')
    .map((member) => member.replace(OPTIONAL_SPACE, ''))
    .filter((member) => member !== '')
  if (members.length === 0 || members.length > MOST_MEMBERS) return undefined
  if (!members.every((member) => MEMBER.test(member))) return undefined
  const keys = new Set(members.map((member) => member.slice(0, member.indexOf('='))))
  return keys.size === members.length ? shorten(members) : undefined
}

/** Section 3.3.1.5: whole members go, the long ones first, then those at the end. */
function shorten(members: readonly string[]): string | undefined {
  let kept = [...members]
  const fits = (): boolean => kept.join(',').length <= LONGEST_STATE
  while (!fits()) {
    const long = kept.findLastIndex((member) => member.length > LONG_MEMBER)
    kept = kept.toSpliced(long < 0 ? kept.length - 1 : long, 1)
  }
  return kept.length === 0 ? undefined : kept.join(',')
}
