/** JSON values -> google.protobuf.Struct, for dynamic metadata. */
import type { WireWriter } from './wire-writer.ts'

/**
 * A level of objects costs three of the hundred messages that protobuf's C++ parser nests before it refuses the whole
 * reply, and a refused reply is an error to Envoy: deeper claims are left out.
 */
const DEEPEST = 16

/** Writes one of a Struct's `fields`; nothing where JSON cannot hold the value, or where it is nested too deep. */
export function writeMember(writer: WireWriter, name: string, value: unknown): void {
  const mark = writer.length
  if (!member(writer, name, value, 0)) writer.takeBack(mark)
}

/** False: not to be written; what was written of it is to be taken back. */
function member(writer: WireWriter, name: string, value: unknown, depth: number): boolean {
  const mark = writer.length
  if (!content(writer, value, depth)) return false
  writer.embed(2, mark)
  writer.text(1, name)
  writer.embed(1, mark)
  return true
}

function content(writer: WireWriter, value: unknown, depth: number): boolean {
  if (depth > DEEPEST) return false
  switch (typeof value) {
    case 'string':
      writer.text(3, value)
      return true
    case 'number':
      // JSON.parse reads 1e999 as Infinity, which no JSON that Envoy writes from this could hold.
      if (!Number.isFinite(value)) return false
      writer.double(2, value)
      return true
    case 'boolean':
      writer.integer(4, value ? 1 : 0)
      return true
    case 'object':
      if (value !== null) return Array.isArray(value) ? list(writer, value, depth) : struct(writer, value, depth)
      writer.integer(1, 0)
      return true
    default:
      return false
  }
}

function list(writer: WireWriter, items: readonly unknown[], depth: number): boolean {
  const mark = writer.length
  for (let index = items.length - 1; index >= 0; index -= 1) {
    const itemMark = writer.length
    if (!content(writer, items[index], depth + 1)) return false
    writer.embed(1, itemMark)
  }
  writer.embed(6, mark)
  return true
}

function struct(writer: WireWriter, members: object, depth: number): boolean {
  const mark = writer.length
  for (const [name, value] of Object.entries(members).reverse()) {
    if (!member(writer, name, value, depth + 1)) return false
  }
  writer.embed(5, mark)
  return true
}
