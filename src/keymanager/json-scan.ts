/**
 * One linear look at a JSON text before `JSON.parse`, for what the parser forgives or chokes on: a repeated member (the
 * last would win, and a reviver never sees the first) and deep nesting. It is no validator: the parser follows.
 */

/** Nesting allowed; the top-level object is 1. */
const DEEPEST = 32

/** Members that decide something (product section 4), each with a bit of its own. */
const DECISIVE: ReadonlyMap<string, number> = new Map(
  ['active', 'exp', 'nbf', 'scope', 'aud', 'iss', 'client_id', 'cnf'].map((name, index) => [name, 1 << index]),
)

const LENGTHS: ReadonlySet<number> = new Set([...DECISIVE.keys()].map((name) => name.length))

/** `client_id` with each character as `\\uXXXX`: a longer spelling cannot be a decisive name. */
const LONGEST_SPELLING = 'client_id'.length * 6

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const BACKSLASH = 0x5c
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

export interface JsonScan {
  /** What is wrong, or undefined. */
  readonly problem: 'nested too deeply' | 'a repeated member' | undefined
  /** Characters looked at: never more than the text has. */
  readonly visited: number
}

/** Never throws, whatever the text. */
export function scanJson(text: string): JsonScan {
  let seen = 0
  const hasEscapes = text.includes('\\')
  let depth = 0
  let isTopLevelObject = false
  let nameComesNext = false
  let at = 0

  while (at < text.length) {
    const character = text.charCodeAt(at)
    at += 1
    switch (character) {
      case QUOTE: {
        const start = at
        // Without an escape the next quote is the end.
        at = hasEscapes ? endOfString(text, at) : text.indexOf('"', at) + 1 || text.length
        if (nameComesNext && depth === 1 && isTopLevelObject && (hasEscapes || LENGTHS.has(at - 1 - start))) {
          const bit = bitOf(text.slice(start, at - 1))
          if ((seen & bit) !== 0) return { problem: 'a repeated member', visited: at }
          seen |= bit
        }
        break
      }
      case OPEN_BRACE:
      case OPEN_BRACKET:
        depth += 1
        if (depth > DEEPEST) return { problem: 'nested too deeply', visited: at }
        if (depth === 1) {
          isTopLevelObject = character === OPEN_BRACE
          nameComesNext = true
        }
        break
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth -= 1
        break
      case COMMA:
        if (depth === 1) nameComesNext = true
        break
      case COLON:
        if (depth === 1) nameComesNext = false
        break
      default:
        break
    }
  }
  return { problem: undefined, visited: at }
}

/** Just behind the closing quote, or the end of the text. */
function endOfString(text: string, start: number): number {
  let at = start
  while (at < text.length) {
    const character = text.charCodeAt(at)
    if (character === QUOTE) return at + 1
    at += character === BACKSLASH ? 2 : 1
  }
  return Math.min(at, text.length)
}

/** 0: a name that decides nothing. */
function bitOf(spelling: string): number {
  if (spelling.length > LONGEST_SPELLING) return 0
  const name = spelling.includes('\\') ? plainName(spelling) : spelling
  return name === undefined ? 0 : (DECISIVE.get(name) ?? 0)
}

function plainName(spelling: string): string | undefined {
  try {
    return String(JSON.parse(`"${spelling}"`))
  } catch {
    // Not JSON: the parser refuses the whole text next.
    return undefined
  }
}
