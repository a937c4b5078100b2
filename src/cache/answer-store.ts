import type { Answer } from '../authz/ports.ts'

/** Bounded memory for answers of one kind, the least recently used goes first. Keys: 64 hex digits. */
export interface AnswerStore<A extends Answer> {
  /** Marks the answer as used. What is handed out is good until the store is changed, that is for one synchronous Check. */
  get(key: string): A | undefined
  set(key: string, answer: A): void
  delete(key: string): boolean
  clear(): void
  size(): number
}
