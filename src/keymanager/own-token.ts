/**
 * The own token: the access token by which the sidecar may call `/introspect`. One closure holds and renews it; whoever
 * needs it asks here, and nobody else asks the token endpoint.
 */
import type { Clock, Log, OwnTokenMetrics } from '../authz/ports.ts'
import type { Grants } from './grants.ts'
import type { RefreshState } from './refresh-state.ts'
import { backoffMs, renewInMs } from './renewal-timing.ts'
import { type GrantResult, refused } from './token-answer.ts'

/** A token that serves; compared by identity, so that what was sent can be told from what replaced it. */
export interface Held {
  readonly value: string
  /** Monotonic; Infinity: a direct token that nobody renews. */
  readonly expiresAtMs: number
}

/** The token to send, or why there is none and for how long. */
export type Taken = { readonly kind: 'token'; readonly token: Held } | Untaken

export interface Untaken {
  readonly kind: 'unavailable'
  /** How long none is asked for: after that it is worth a question. */
  readonly pausedForMs: number
  /** What callers are told: 0 unless a 429 of the token endpoint is honoured (product 2.1, `Retry-After`). */
  readonly retryAfterMs: number
  readonly detail: string
}

/**
 * none: before the start. fetching: nothing serves, one request is out, callers wait for it. fresh: it serves; a timer
 * renews it, and after a failed renewal tries again. renewing: it still serves while its successor is asked for.
 * failed: nothing serves and no request is out until `untilMs`; callers are refused at once.
 */
type State =
  | { readonly kind: 'none' }
  | { readonly kind: 'fetching'; readonly flight: Promise<void> }
  | { readonly kind: 'fresh'; readonly token: Held; readonly nextAtMs: number }
  | { readonly kind: 'renewing'; readonly token: Held; readonly flight: Promise<void> }
  | { readonly kind: 'failed'; readonly untilMs: number }

export interface OwnToken {
  /** The token for one call; a Promise only where one must be waited for. Never rejects. */
  take(): Taken | Promise<Taken>
  /**
   * `/introspect` refused this token: it is not sent again. Resolves to the one to repeat the call with. However many
   * calls say so, one renewal (product P22).
   */
  refused(sent: Held): Promise<Taken>
  /** Resolves once the first token is held. */
  readonly obtained: Promise<void>
  status(): OwnTokenStatus
  /** Other secrets, certificates or proxies for the same grant, another place for its refresh token: what is held stays. */
  use(grants: Grants, saved: RefreshState | undefined): void
  /** No request goes out any more; what is held still serves the calls under way. */
  close(): void
}

export interface OwnTokenStatus {
  readonly state: State['kind']
  /** ISO 8601; undefined: nothing is held, or it does not expire. */
  readonly expiresAt: string | undefined
  readonly nextAttemptInMs: number | undefined
  /** Why the last attempt failed, in our own words; undefined after a good one. */
  readonly lastError: string | undefined
}

export interface OwnTokenOptions {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: OwnTokenMetrics
  readonly grants: Grants
  /** A configured access token; undefined: there is none. */
  readonly directToken: string | undefined
  /** A configured refresh token; undefined: there is none. */
  readonly refreshToken: string | undefined
  /** Scopes asked for, space separated. */
  readonly scope: string
  /** Where a rotated refresh token is saved; undefined: nowhere. */
  readonly saved: RefreshState | undefined
  /** From 0 to 1, for jitter. */
  readonly random: () => number
  /** Told of each token held from now on, and undefined where the one held was refused: it is not sent again. */
  readonly whenChanged?: (held: Held | undefined) => void
}

type GrantName = 'client_credentials' | 'password' | 'refresh_token' | 'direct'

const DEFAULT_LIFE_MS = 300_000
const REJECTED_FOR_MS = 30_000
const LEAST_BETWEEN_RENEWALS_MS = 5_000
/** Starts obtaining at once, in the background. */
export function createOwnToken(options: OwnTokenOptions): OwnToken {
  const { clock, log, metrics, random, directToken, whenChanged = () => undefined } = options
  let { grants, saved } = options
  let state: State = { kind: 'none' }
  let refreshToken = options.refreshToken
  let failures = 0
  let failedAtMs = Number.NEGATIVE_INFINITY
  let lastError: string | undefined
  let rotationSaid = false
  let closed = false
  /** True while the token to come replaces one that `/introspect` refused. */
  let afterRefusal = false
  let throttledUntilMs = Number.NEGATIVE_INFINITY
  let renewedAfterRefusalAtMs = Number.NEGATIVE_INFINITY
  let stopTimer: () => void = () => undefined
  let signalObtained: () => void = () => undefined
  const obtained = new Promise<void>((resolve) => {
    signalObtained = resolve
  })

  const schedule = (delayMs: number): void => {
    stopTimer()
    if (!closed && Number.isFinite(delayMs)) stopTimer = clock.after(delayMs, attempt)
  }

  /** Never while another request is out: the flight is the lock. */
  const attempt = (): void => {
    if (closed || state.kind === 'fetching' || state.kind === 'renewing') return
    const token = state.kind === 'fresh' && state.token.expiresAtMs > clock.monotonicMs() ? state.token : undefined
    stopTimer()
    // Nothing in it rejects; were that to change, the next attempt must still come.
    const flight = renew().catch(() => fail('direct', refused('network', 'the renewal failed unexpectedly'), grants))
    state = token === undefined ? { kind: 'fetching', flight } : { kind: 'renewing', token, flight }
  }

  const hold = (token: Held, renewInMs: number): void => {
    state = { kind: 'fresh', token, nextAtMs: clock.monotonicMs() + renewInMs }
    const left = token.expiresAtMs - clock.monotonicMs()
    metrics.ownTokenExpiresAt(Number.isFinite(left) ? clock.wallMs() + left : undefined)
    schedule(renewInMs)
    signalObtained()
    whenChanged(token)
  }

  const renew = async (): Promise<void> => {
    // A step later, so that `state` is this flight before anything can end it.
    await Promise.resolve()
    const by = grants
    const { name, result } = await ask()
    if (result.kind === 'refused') return fail(name, result, by)
    failures = 0
    failedAtMs = Number.NEGATIVE_INFINITY
    throttledUntilMs = Number.NEGATIVE_INFINITY
    lastError = undefined
    await keep(result.refreshToken)
    metrics.ownTokenRenewal(name, 'success')
    if (afterRefusal) renewedAfterRefusalAtMs = clock.monotonicMs()
    afterRefusal = false
    log.info('own_token_obtained', { grant: name, lifeSec: Math.round(result.lifeMs / 1_000) })
    if (result.scope !== undefined && isNarrower(result.scope, options.scope))
      log.warn('own_token_scope', { detail: 'the key manager granted fewer scopes than were asked for' })
    hold(
      { value: result.accessToken, expiresAtMs: clock.monotonicMs() + result.lifeMs },
      renewInMs(result.lifeMs, random()),
    )
  }

  /** By refresh where there is a refresh token; a dead one falls back to the password grant, once. */
  const ask = async (): Promise<{ name: GrantName; result: GrantResult }> => {
    const { first, refresh } = grants
    if (refresh !== undefined && refreshToken !== undefined) {
      const sent = refreshToken
      const result = await refresh(sent)
      const dead = result.kind === 'refused' && result.error === 'invalid_grant'
      if (!dead || first === undefined) return { name: 'refresh_token', result }
      metrics.ownTokenRenewal('refresh_token', 'rejected')
      log.warn('own_token_refresh_dead', { detail: 'the refresh token is no longer accepted: asking by password' })
      // A reload may have brought another from `refresh.stateFile` meanwhile.
      if (refreshToken === sent) refreshToken = undefined
    }
    if (first !== undefined) return { name: first.name, result: await first.ask() }
    const detail = 'the configured token is refused and nothing renews it'
    return {
      name: 'direct',
      result: { kind: 'refused', outcome: 'rejected', error: undefined, retryAfterMs: 0, detail },
    }
  }

  /** RFC 6749 section 6: a new refresh token replaces the old one, which is on disk before its access token is used. */
  const keep = async (next: string | undefined): Promise<void> => {
    if (next === undefined || next === refreshToken || grants.refresh === undefined) return
    const isFirst = refreshToken === undefined
    refreshToken = next
    if (saved !== undefined) return saved.write(next, closed)
    if (isFirst || rotationSaid) return
    rotationSaid = true
    log.warn('own_token_rotated', {
      detail: 'the refresh token is rotated and refresh.stateFile is not set: a restart begins with the configured one',
    })
  }

  /** Takes what an earlier life of this sidecar saved; false: there is nothing of it. */
  const recall = (): boolean => {
    const remembered = saved?.read()
    if (remembered !== undefined) refreshToken = remembered
    return remembered !== undefined
  }

  /** `by`: what was asked with. Where a reload has replaced it meanwhile, its failure says nothing of what is next. */
  const fail = (name: GrantName, result: Extract<GrantResult, { kind: 'refused' }>, by: Grants): void => {
    failures = by === grants ? failures + 1 : 0
    failedAtMs = clock.monotonicMs()
    lastError = result.detail
    metrics.ownTokenRenewal(name, result.outcome)
    const token = state.kind === 'renewing' && state.token.expiresAtMs > clock.monotonicMs() ? state.token : undefined
    const backedOffMs = by === grants ? backoffMs(failures, result, random()) : result.retryAfterMs
    const waitMs = Math.max(backedOffMs, token === undefined ? 0 : LEAST_BETWEEN_RENEWALS_MS)
    log.warn('own_token_failed', {
      grant: name,
      outcome: result.outcome,
      error: result.error,
      detail: result.detail,
      nextAttemptInMs: Math.round(waitMs),
      serving: token !== undefined,
    })
    const atMs = clock.monotonicMs() + waitMs
    throttledUntilMs = result.outcome === 'throttled' ? atMs : Number.NEGATIVE_INFINITY
    state = token === undefined ? { kind: 'failed', untilMs: atMs } : { kind: 'fresh', token, nextAtMs: atMs }
    if (token === undefined) metrics.ownTokenExpiresAt(undefined)
    schedule(waitMs)
  }

  const unavailable = (untilMs: number): Untaken => ({
    kind: 'unavailable',
    pausedForMs: Math.max(untilMs - clock.monotonicMs(), 0),
    retryAfterMs: Math.max(throttledUntilMs - clock.monotonicMs(), 0),
    detail: `no own token: ${lastError ?? 'none could be obtained yet'}`,
  })

  /** After a flight: its outcome, whatever it was; not one more wait. */
  const settled = (): Taken => {
    switch (state.kind) {
      case 'fresh':
      case 'renewing':
        return { kind: 'token', token: state.token }
      case 'failed':
        return unavailable(state.untilMs)
      case 'none':
      case 'fetching':
        return unavailable(clock.monotonicMs())
      default:
        return state satisfies never
    }
  }

  /** What is held but expired serves nobody: only where its renewal failed, or a timer came late. */
  const expire = (): void => {
    if (state.kind !== 'fresh' && state.kind !== 'renewing') return
    if (state.token.expiresAtMs > clock.monotonicMs()) return
    if (state.kind === 'renewing') state = { kind: 'fetching', flight: state.flight }
    else state = { kind: 'failed', untilMs: state.nextAtMs }
    metrics.ownTokenExpiresAt(undefined)
  }

  const take = (): Taken | Promise<Taken> => {
    expire()
    if (state.kind === 'none' || (state.kind === 'failed' && state.untilMs <= clock.monotonicMs())) attempt()
    return state.kind === 'fetching' ? state.flight.then(settled) : settled()
  }

  /** The token held is refused: it is dropped, and renewed unless that was just done. */
  const drop = (): void => {
    const nowMs = clock.monotonicMs()
    metrics.ownTokenExpiresAt(undefined)
    whenChanged(undefined)
    if (grants.first === undefined && refreshToken === undefined) {
      metrics.ownTokenRenewal('direct', 'rejected')
      pause(nowMs + REJECTED_FOR_MS, 'the configured token was refused by the key manager')
      return
    }
    const quietUntilMs = renewedAfterRefusalAtMs + REJECTED_FOR_MS
    if (quietUntilMs > nowMs) {
      pause(quietUntilMs, 'the key manager refuses even a new token of ours')
      return
    }
    log.warn('own_token_refused', { detail: 'the key manager refused our token: renewing it once' })
    afterRefusal = true
    // A failed attempt and a 429 hold for this one too (P21).
    const untilMs = Math.max(throttledUntilMs, failedAtMs + LEAST_BETWEEN_RENEWALS_MS)
    if (untilMs <= nowMs) {
      state = { kind: 'none' }
      attempt()
      return
    }
    wait(untilMs)
  }

  /** Nothing serves, and nothing may be asked yet. */
  const wait = (untilMs: number): void => {
    state = { kind: 'failed', untilMs }
    schedule(untilMs - clock.monotonicMs())
  }

  const pause = (untilMs: number, detail: string): void => {
    lastError = detail
    throttledUntilMs = Number.NEGATIVE_INFINITY
    state = { kind: 'failed', untilMs }
    const waitMs = untilMs - clock.monotonicMs()
    log.error('own_token_rejected', { detail, nextAttemptInMs: Math.round(waitMs) })
    stopTimer()
    if (!closed) stopTimer = clock.after(waitMs, resume)
  }

  /** While one serves: 5 s after the last failure (P21), and never before the end of a 429. */
  const tryEarlier = (token: Held): void => {
    const nowMs = clock.monotonicMs()
    const nextAtMs = Math.max(failedAtMs + LEAST_BETWEEN_RENEWALS_MS, throttledUntilMs, nowMs)
    state = { kind: 'fresh', token, nextAtMs }
    schedule(nextAtMs - nowMs)
  }

  /** A direct token has nobody to ask: it is simply tried again. */
  const resume = (): void => {
    if (directToken !== undefined && grants.first === undefined && refreshToken === undefined) holdDirect(directToken)
    else attempt()
  }

  const holdDirect = (value: string): void => {
    const lifeMs = refreshToken === undefined ? Number.POSITIVE_INFINITY : DEFAULT_LIFE_MS
    hold({ value, expiresAtMs: clock.monotonicMs() + lifeMs }, renewInMs(lifeMs, random()))
  }

  const begin = (): void => {
    const isRotated = recall()
    // A rotated refresh token makes the configured access token one of an earlier life.
    if (directToken !== undefined && !isRotated) holdDirect(directToken)
    else attempt()
  }
  begin()

  return {
    take,
    async refused(sent) {
      expire()
      if (closed) return unavailable(clock.monotonicMs())
      switch (state.kind) {
        case 'fresh':
          if (state.token !== sent) return settled()
          drop()
          return take()
        case 'renewing': {
          // Some servers kill the old token the moment it is refreshed: the new one is on its way.
          const { flight } = state
          if (state.token === sent) {
            afterRefusal = true
            state = { kind: 'fetching', flight }
            whenChanged(undefined)
          }
          await flight
          return settled()
        }
        case 'fetching':
        case 'failed':
        case 'none':
          return take()
        default:
          return state satisfies never
      }
    },
    obtained,
    status() {
      expire()
      const nowMs = clock.monotonicMs()
      const held = state.kind === 'fresh' || state.kind === 'renewing' ? state.token.expiresAtMs - nowMs : Number.NaN
      const nextAtMs = state.kind === 'fresh' ? state.nextAtMs : state.kind === 'failed' ? state.untilMs : Number.NaN
      return {
        state: state.kind,
        expiresAt: Number.isFinite(held) ? new Date(clock.wallMs() + held).toISOString() : undefined,
        nextAttemptInMs: Number.isFinite(nextAtMs) ? Math.max(Math.round(nextAtMs - nowMs), 0) : undefined,
        lastError,
      }
    },
    use(next, place) {
      expire()
      grants = next
      if (place?.file !== saved?.file) {
        saved = place
        // A rotated one is newer than whatever lies there; the configured one may have been used in an earlier life.
        if (refreshToken === options.refreshToken) recall()
        else if (refreshToken !== undefined) void saved?.write(refreshToken)
      }
      // What was wrong may just have been mended. A flight that is out asks by the old ones: `fail` knows.
      const isFailing = failures > 0
      failures = 0
      if (state.kind === 'failed' && throttledUntilMs > clock.monotonicMs()) wait(throttledUntilMs)
      else if (state.kind === 'failed') resume()
      else if (state.kind === 'fresh' && isFailing) tryEarlier(state.token)
    },
    close() {
      closed = true
      stopTimer()
    },
  }
}

function isNarrower(granted: string, asked: string): boolean {
  const words = new Set(granted.split(' '))
  return asked.split(' ').some((word) => word !== '' && !words.has(word))
}
