/** Values as somebody wrote them, before their types are looked at. */
import type { Row } from './schema.ts'

export type Source =
  | { readonly kind: 'file'; readonly line: number | undefined }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'flag'; readonly name: string }

export interface Written {
  readonly row: Row
  /** From the file: what TOML says. From a variable or flag: text. */
  readonly value: unknown
  readonly source: Source
}

/** By documented path. */
export type WrittenKeys = Map<string, Written>
