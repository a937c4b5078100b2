/** What the table says about one key. */

/**
 * How a value is written and read. `list`: list of texts; `scopes`: list, or text separated by commas or spaces;
 * `secrets`: a secret, or in the file a list of two; `addresses`: one address or a list; `workers`: a number or "auto";
 * `tables`: array of tables; `map`: a table of free names; `any`: accepted unread.
 */
export type ValueType =
  | 'text'
  | 'secret'
  | 'secrets'
  | 'boolean'
  | 'integer'
  | 'duration'
  | 'list'
  | 'scopes'
  | 'addresses'
  | 'workers'
  | 'tables'
  | 'map'
  | 'any'

export interface Row {
  /** Dotted path as it is documented. A last segment `*` stands for every name in and below that table. */
  readonly path: string
  readonly type: ValueType
  /** As it would be written in the file; undefined: none. */
  readonly default: string | number | boolean | readonly string[] | undefined
  /** Of a bare number, for durations; undefined: a bare number is an error. */
  readonly unit: 'ms' | 's' | undefined
  readonly choices: readonly string[] | undefined
  /** Lowest and highest integer. */
  readonly range: readonly [number, number] | undefined
  /** True: an empty text is a value of its own, not the same as an absent key. */
  readonly emptyIsValue: boolean
  readonly origin: 'wso2' | 'ours'
  /** `unused`: accepted and named once; `later`: known, and "not supported yet" where it asks for something. */
  readonly status: 'used' | 'unused' | 'later'
  readonly doc: string
}

type Extras = Partial<Omit<Row, 'path' | 'type' | 'doc'>>

/** One row; what is not said is: no default, no unit, ours, used. */
export function row(path: string, type: ValueType, doc: string, extras: Extras = {}): Row {
  return {
    path,
    type,
    doc,
    default: undefined,
    unit: undefined,
    choices: undefined,
    range: undefined,
    emptyIsValue: false,
    origin: 'ours',
    status: 'used',
    ...extras,
  }
}
