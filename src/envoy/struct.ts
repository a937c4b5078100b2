/** JSON values -> google.protobuf.Struct, for dynamic metadata. */
import { DECISION_ID, delimited, double, integer, MAX_AGE_SECONDS, type Piece, text } from './wire-writer.ts'

/**
 * A level of objects costs three of the hundred messages that protobuf's C++ parser nests before it refuses the whole
 * reply, and a refused reply is an error to Envoy: deeper claims are left out.
 */
const DEEPEST = 16

/** A member of a Struct: a JSON value, or a gap that is filled on every reply. */
export type StructMember = readonly [name: string, value: unknown]

/** The pieces of a Struct's `fields`. Members with a value that JSON cannot hold, or nested too deep, are left out. */
export function struct(members: readonly StructMember[]): readonly Piece[] {
  const pieces: Piece[] = []
  for (const [name, value] of members) {
    const encoded = encodedValue(value, 0)
    if (encoded !== undefined) pieces.push(...field(name, encoded))
  }
  return pieces
}

function field(name: string, value: readonly Piece[]): readonly Piece[] {
  return delimited(1, [text(1, name), ...delimited(2, value)])
}

function encodedValue(value: unknown, depth: number): readonly Piece[] | undefined {
  if (depth > DEEPEST) return undefined
  switch (typeof value) {
    case 'string':
      return [text(3, value)]
    case 'number':
      // JSON.parse reads 1e999 as Infinity, which no JSON that Envoy writes from this could hold.
      return Number.isFinite(value) ? double(2, value) : undefined
    case 'boolean':
      return [integer(4, value ? 1 : 0)]
    case 'object':
      if (value === null) return [integer(1, 0)]
      if (value === DECISION_ID) return delimited(3, [DECISION_ID])
      if (value === MAX_AGE_SECONDS) return double(2, MAX_AGE_SECONDS)
      return Array.isArray(value) ? listOf(value, depth) : structOf(value, depth)
    default:
      return undefined
  }
}

function listOf(items: readonly unknown[], depth: number): readonly Piece[] | undefined {
  const pieces: Piece[] = []
  for (const item of items) {
    const encoded = encodedValue(item, depth + 1)
    if (encoded === undefined) return undefined
    pieces.push(...delimited(1, encoded))
  }
  return delimited(6, pieces)
}

function structOf(members: object, depth: number): readonly Piece[] | undefined {
  const pieces: Piece[] = []
  for (const [name, value] of Object.entries(members)) {
    const encoded = encodedValue(value, depth + 1)
    if (encoded === undefined) return undefined
    pieces.push(...field(name, encoded))
  }
  return delimited(5, pieces)
}
