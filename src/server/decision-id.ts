/** Names of decisions: they join Envoy's access log, our log and `/decisions`. */
import { randomBytes } from 'node:crypto'

/** What the fixed-width slot in encoded replies holds, ASCII characters. */
export const DECISION_ID_LENGTH = 21

/**
 * Each call yields the next id: 8 hex digits, random per process, '-', and a 12-digit zero-padded counter (21 characters).
 * @param prefix 8 characters; random by default.
 */
export function createDecisionIds(prefix: string = randomBytes(4).toString('hex')): () => string {
  let counter = 0
  return () => {
    counter += 1
    return `${prefix}-${String(counter).padStart(12, '0')}`
  }
}
