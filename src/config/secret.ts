/** A value that prints `[redacted]` wherever it is printed: logs, JSON, templates, `inspect`. */
import { hash, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

const REDACTED = '[redacted]'

export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The text itself: only at the place that puts it on the wire. */
  reveal(): string {
    return this.#value
  }

  /** Constant-time comparison over digests, so that neither content nor length leaks. */
  equals(other: string): boolean {
    return timingSafeEqual(hash('sha256', this.#value, 'buffer'), hash('sha256', other, 'buffer'))
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}
