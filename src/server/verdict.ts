/** The first line of the status page: what holds at this moment, in words, worst first. */

import type { Status } from './status.ts'
import { durationWords } from './words.ts'

export interface Verdict {
  /** `bad`: Checks are refused that should not be. `warn`: somebody should look. */
  readonly tone: 'good' | 'warn' | 'bad'
  readonly words: string
  /** Why, and what comes next; '' where the words say it all. */
  readonly detail: string
}

const UNREMEMBERED = 'Checks without a remembered answer get 503'

export function verdictOf(status: Pick<Status, 'ready' | 'keyManager'>): Verdict {
  const { ready, keyManager } = status
  const { ownToken, breaker, pausedForMs, discovery, lastSuccess, lastFailure } = keyManager

  if (!ready) return { tone: 'bad', words: 'Not ready', detail: 'The sidecar is starting or stopping.' }
  if (ownToken?.state === 'failed') {
    const next =
      ownToken.nextAttemptInMs === undefined ? '' : ` Next attempt in ${durationWords(ownToken.nextAttemptInMs)}.`
    return { tone: 'bad', words: `No own token: ${UNREMEMBERED}`, detail: sentence(ownToken.lastError) + next }
  }
  if (breaker === 'open') {
    const next =
      pausedForMs === undefined ? 'One call is tried next.' : `One call is tried in ${durationWords(pausedForMs)}.`
    return {
      tone: 'bad',
      words: `Key manager unreachable: breaker open, ${UNREMEMBERED}`,
      detail: `${sentence(lastFailure?.detail)} ${next}`.trim(),
    }
  }
  if (breaker === 'half_open') {
    return {
      tone: 'bad',
      words: 'Key manager unreachable: breaker half open, one call is out to try it',
      detail: `Until it is answered, ${UNREMEMBERED}.`,
    }
  }
  if (pausedForMs !== undefined) {
    return {
      tone: 'bad',
      words: `Key manager asked for fewer calls (429): ${UNREMEMBERED}`,
      detail: `Calls go out again in ${durationWords(pausedForMs)}.`,
    }
  }
  if (discovery !== undefined && lastSuccess === undefined) {
    return { tone: 'bad', words: `Introspection endpoint not known: ${UNREMEMBERED}`, detail: sentence(discovery) }
  }
  if (ownToken?.state === 'fetching' || ownToken?.state === 'none') {
    return {
      tone: 'warn',
      words: 'Waiting for the own token',
      detail: 'Checks without a remembered answer wait for it, within their own limit.',
    }
  }
  if (lastFailure !== undefined && (lastSuccess === undefined || lastFailure.at > lastSuccess.at)) {
    return { tone: 'warn', words: 'Answering, but the last introspection failed', detail: sentence(lastFailure.detail) }
  }
  if (ownToken?.lastError !== undefined) {
    return {
      tone: 'warn',
      words: 'Answering, but the own token could not be renewed',
      detail: sentence(ownToken.lastError),
    }
  }
  if (lastSuccess === undefined) {
    return {
      tone: 'good',
      words: 'Ready: nothing introspected yet',
      detail: 'The first Check with a token asks the key manager.',
    }
  }
  return { tone: 'good', words: 'Answering', detail: '' }
}

/** Our own details are written without a capital and a full stop. */
export function sentence(text: string | undefined): string {
  if (text === undefined || text === '') return ''
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
}
