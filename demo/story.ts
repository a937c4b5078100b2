/** The story: what is sent, what should come back, and what the sidecar itself said about it. */
import { setTimeout as wait } from 'node:timers/promises'
import type { AuthorizationServer } from './authorization-server.ts'
import type { Door, Knock, Seen } from './door.ts'

export interface Stage {
  readonly server: AuthorizationServer
  readonly door: Door
  /** How long the sidecar remembers an active answer. */
  readonly cachedLifeMs: number
  /** The newest `decision` line of the sidecar's log. */
  lastDecision(): { readonly reason: string; readonly cache: string } | undefined
  say(text: string): void
}

interface Expected {
  readonly status: number
  readonly reason: string
  /** Where the answer must have come from: `miss` asked the key manager, `hit` is memory. */
  readonly cache?: 'hit' | 'miss'
  readonly fault?: number
  readonly retryAfter?: boolean
  readonly challenge?: string
}

const masked = (token: string | undefined): string => (token === undefined ? 'none' : `${token.slice(0, 4)}...`)
const read = (token: string | undefined): Knock => ({ method: 'GET', path: '/orders/7', token })
const write = (token: string | undefined): Knock => ({ method: 'POST', path: '/orders/7', token })

/** Plays it, and resolves with the number of steps that did not go as they should. */
export async function play(stage: Stage): Promise<number> {
  const { server, cachedLifeMs, say } = stage
  let wrong = 0

  async function step(title: string, knock: Knock, expected: Expected): Promise<void> {
    const seen = await stage.door.knock(knock)
    const decision = stage.lastDecision()
    const complaints = compare(seen, decision, expected)
    if (complaints.length > 0) wrong += 1
    say(`${complaints.length === 0 ? 'ok  ' : 'FAIL'} ${title}`)
    say(`     ${knock.method} ${knock.path}, token: ${masked(knock.token)}  ->  ${seen.status}`)
    say(`     decided: ${decision?.reason ?? '?'}, cache: ${decision?.cache ?? '?'}`)
    if (seen.faultCode !== undefined) say(`     fault code ${seen.faultCode}`)
    if (seen.challenge !== undefined) say(`     WWW-Authenticate: ${seen.challenge}`)
    if (seen.retryAfter !== undefined) say(`     Retry-After: ${seen.retryAfter}`)
    for (const [name, value] of Object.entries(seen.upstream)) say(`     upstream got ${name}: ${value}`)
    for (const complaint of complaints) say(`     expected ${complaint}`)
  }

  const good = await server.accessToken('orders:read orders:write')
  const reader = await server.accessToken('orders:read')
  const doomed = await server.accessToken('orders:read')
  const late = await server.accessToken('orders:read')
  const invalid = 'error="invalid_token"'

  await step('no token', read(undefined), {
    status: 401,
    reason: 'missing_credentials',
    fault: 900902,
    challenge: 'Bearer realm=',
  })
  await step('a good token, never seen before: the key manager is asked', write(good), {
    status: 200,
    reason: 'allowed',
    cache: 'miss',
  })
  await step('the same token again: answered from memory', write(good), {
    status: 200,
    reason: 'allowed',
    cache: 'hit',
  })
  await step('garbage', read('not-a-token-of-anybody'), {
    status: 401,
    reason: 'inactive_token',
    fault: 900901,
    challenge: invalid,
  })
  await step('a refresh token instead of an access token', read(await server.refreshToken()), {
    status: 403,
    reason: 'missing_claim',
    fault: 900908,
  })
  await step('a token short of scope', write(reader), {
    status: 403,
    reason: 'insufficient_scope',
    fault: 900910,
    challenge: 'error="insufficient_scope", scope="orders:write"',
  })

  await step('a token that is about to be revoked', read(doomed), { status: 200, reason: 'allowed', cache: 'miss' })
  await server.revoke(doomed)
  say(`     (revoked at the key manager; remembered for ${cachedLifeMs} ms at most: waiting that long)`)
  await wait(cachedLifeMs + 100)
  await step('the revoked token after its remembered life', read(doomed), {
    status: 401,
    reason: 'inactive_token',
    cache: 'miss',
    fault: 900901,
    challenge: invalid,
  })

  await step('a good token, asked about once more', write(good), { status: 200, reason: 'allowed', cache: 'miss' })
  await server.pause()
  say('     (the key manager is stopped)')
  await step('the remembered token passes while the key manager is down', write(good), {
    status: 200,
    reason: 'allowed',
    cache: 'hit',
  })
  await step('a token never seen before cannot be judged', read(late), {
    status: 503,
    reason: 'key_manager_unavailable',
    fault: 900900,
    retryAfter: true,
  })
  await server.resume()
  say('     (the key manager is back; Retry-After said one second: waiting that long)')
  await wait(1100)
  await step('and that token passes now', read(late), { status: 200, reason: 'allowed', cache: 'miss' })
  return wrong
}

function compare(
  seen: Seen,
  decision: { readonly reason: string; readonly cache: string } | undefined,
  expected: Expected,
): readonly string[] {
  const complaints: string[] = []
  if (seen.status !== expected.status) complaints.push(`status ${expected.status}`)
  if (decision?.reason !== expected.reason) complaints.push(`reason ${expected.reason}`)
  if (expected.cache !== undefined && decision?.cache !== expected.cache) complaints.push(`cache ${expected.cache}`)
  if (seen.faultCode !== expected.fault) complaints.push(`fault code ${expected.fault ?? 'none'}`)
  if ((seen.retryAfter !== undefined) !== (expected.retryAfter ?? false)) complaints.push('Retry-After')
  const challenge = seen.challenge ?? ''
  if (expected.challenge === undefined ? challenge !== '' : !challenge.includes(expected.challenge)) {
    complaints.push(`WWW-Authenticate with ${expected.challenge ?? 'nothing'}`)
  }
  // What a client must never get past the sidecar: its own credentials at the upstream.
  if ('authorization' in seen.upstream) complaints.push('no credentials at the upstream')
  return complaints
}
