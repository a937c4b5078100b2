/** Hands the own token, which the primary alone obtains and renews, to its workers, and answers their questions about it. */
import type { Clock } from '../authz/ports.ts'
import type { Held, OwnToken, Taken, Untaken } from '../keymanager/own-token.ts'
import type { PassedToken, ToWorker } from './messages.ts'

export interface OwnTokenRelay {
  /** For an own token about to be created: its number, and whom it must tell what it holds. */
  announceSource(): { readonly source: number; readonly changed: (held: Held | undefined) => void }
  /** Whose token is in force from now on. The one before still answers workers that have not swapped. */
  use(source: number, token: OwnToken): void
  /** All workers have swapped. */
  swapped(): void
  /** What a new worker starts with. */
  held(source: number): PassedToken | undefined
  /** A worker's question. Never rejects. */
  answer(source: number, refused: number | undefined): Promise<PassedToken | Untaken>
}

interface SourceOfTokens {
  readonly source: number
  readonly token: OwnToken
}

/** How many tokens a worker may speak of: the one held, and those that were replaced while it waited for an answer. */
const REMEMBERED = 8

export function createOwnTokenRelay(clock: Clock, tell: (message: ToWorker) => void): OwnTokenRelay {
  let sources = 0
  let serials = 0
  let inForce: SourceOfTokens | undefined
  let before: SourceOfTokens | undefined
  const current = new Map<number, Held>()
  const known = new Map<number, Held>()

  const passed = (held: Held): PassedToken => {
    let [serial] = [...known].find(([, one]) => one === held) ?? []
    if (serial === undefined) {
      serials += 1
      serial = serials
      known.set(serial, held)
      for (const oldest of known.keys()) if (known.size > REMEMBERED) known.delete(oldest)
    }
    return { kind: 'token', serial, value: held.value, lifeMs: held.expiresAtMs - clock.monotonicMs() }
  }

  const changed = (source: number, held: Held | undefined): void => {
    if (held === undefined) current.delete(source)
    else current.set(source, held)
    tell({ kind: 'own_token', source, token: held === undefined ? undefined : passed(held) })
  }

  return {
    announceSource() {
      sources += 1
      const source = sources
      return { source, changed: (held) => changed(source, held) }
    },
    use(source, token) {
      before = inForce
      inForce = { source, token }
      for (const other of current.keys()) if (other !== source) current.delete(other)
    },
    swapped() {
      before = undefined
    },
    held(source) {
      const held = current.get(source)
      return held === undefined || held.expiresAtMs <= clock.monotonicMs() ? undefined : passed(held)
    },
    async answer(source, refused) {
      const asked = [inForce, before].find((one) => one?.source === source)
      if (asked === undefined) return REPLACED
      const sent = refused === undefined ? undefined : known.get(refused)
      const taken: Taken = await (sent === undefined ? asked.token.take() : asked.token.refused(sent))
      return taken.kind === 'unavailable' ? taken : passed(taken.token)
    },
  }
}

const REPLACED: Untaken = {
  kind: 'unavailable',
  pausedForMs: 1_000,
  retryAfterMs: 0,
  detail: 'no own token: another configuration is in force',
}
