/**
 * One Check: credentials -> answer -> policy -> decision. This screen holds every reason for which a request is refused;
 * each is a heading of docs/operations.md. Everything not allowed by a line below is denied.
 */
import type { Answers, Failure } from './answers.ts'
import { type Credentials, readCredentials } from './credentials.ts'
import { denied } from './decision.ts'
import { secondsGood, untimely } from './introspection.ts'
import { createPolicy, type Requirements, shortfall } from './policy.ts'
import type {
  AllowedWithoutToken,
  Answer,
  Authorizer,
  CacheResult,
  CheckView,
  Clock,
  Decision,
  PolicySettings,
} from './ports.ts'
import { createRoutes } from './route.ts'

export interface AuthorizerSettings {
  readonly policy: PolicySettings
  readonly allowCorsPreflight: boolean
  readonly timestampSkewMs: number
}

export interface AuthorizerDependencies {
  readonly answers: Answers
  readonly clock: Clock
  /** The store key of a token: product 2.4. */
  readonly keyOf: (token: string) => string
}

export function createAuthorizer(
  { answers, clock, keyOf }: AuthorizerDependencies,
  settings: AuthorizerSettings,
): Authorizer {
  const routeOf = createRoutes()
  const policy = createPolicy(settings.policy)

  return {
    authorize(check, deadlineMs, cancellation) {
      if (check.form === 'not_http') return denied('not_http')
      if (check.form === 'malformed') return denied('malformed_request')

      const route = routeOf(check)
      if (!route.ok) return denied('invalid_route_policy', { detail: route.detail })

      const requirements = policy.requirements(check, route.policy)
      const credentials = readCredentials(check.credentials, check.credentialsCount)
      if (credentials.kind === 'missing') return withoutToken(check, credentials, requirements)
      if (credentials.kind === 'malformed') return denied('malformed_credentials')

      const { token } = credentials
      const key = keyOf(token)
      const remembered = answers.peek(key, requirements.maxAgeMs)
      if (remembered !== undefined) return judge(remembered, 'hit', requirements)

      return answers.ask(key, token, deadlineMs, requirements.maxAgeMs, cancellation).then((found) => {
        return found.ok ? judge(found.answer, found.cache, requirements) : unanswered(found.failure, requirements)
      })
    },
  }

  function withoutToken(
    check: CheckView,
    { otherScheme }: Extract<Credentials, { kind: 'missing' }>,
    requirements: Requirements,
  ): Decision {
    const { anonymous, refused } = requirements
    // Anonymous lifts "a token is required" and nothing else; a preflight passes whatever policy says, as rules for other
    // methods never match it. Where both apply, the order of the outcome table counts.
    if (anonymous && refused === undefined) return passed('allowed_anonymous', otherScheme)
    if (settings.allowCorsPreflight && isPreflight(check)) return passed('allowed_preflight', otherScheme)
    return denied(anonymous && refused !== undefined ? refused : 'missing_credentials')
  }

  function judge(answer: Answer, cache: CacheResult, requirements: Requirements): Decision {
    if (!answer.active) return denied('inactive_token', { cache })
    const nowWallMs = clock.wallMs()
    const { claims } = answer

    // The skew forgives a fresh answer only: RFC 7662 section 4 forbids using a remembered one beyond exp.
    const timing = untimely(claims, nowWallMs, cache === 'miss' ? settings.timestampSkewMs : 0)
    if (timing !== undefined) return denied(timing, { cache })

    const short = shortfall(requirements.enforced, claims)
    if (short !== undefined) return denied(short.reason, { cache, scope: short.scope })
    if (requirements.refused !== undefined) return denied(requirements.refused, { cache })

    const observed = shortfall(requirements.observed, claims)
    return {
      allow: true,
      reason: 'allowed',
      cache,
      answer,
      maxAgeSeconds: secondsGood(answer, nowWallMs, clock.monotonicMs()),
      wouldDeny: observed?.reason,
    }
  }
}

function passed(reason: AllowedWithoutToken['reason'], otherScheme: boolean): AllowedWithoutToken {
  return { allow: true, reason, cache: 'none', otherScheme }
}

/**
 * No answer: never an allow. What is known without the token counts first, in the order of the outcome table.
 * A refusal to look at this one token, and an answer that cannot be read, are no outage: else a client could choose a token for
 * which its request passes Envoy's `failure_mode_allow` (Keycloak answers 400 to a JWT that claims `alg` none).
 */
function unanswered(failure: Failure, requirements: Requirements): Decision {
  if (requirements.refused !== undefined) return denied(requirements.refused, { cache: 'miss' })
  if (failure.kind === 'overloaded')
    return denied('overloaded', { cache: 'miss', isOutage: true, detail: 'maxInFlight calls are out, maxWaiting wait' })
  if (failure.kind === 'malformed') return denied('key_manager_unavailable', { cache: 'miss', detail: failure.detail })
  return denied('key_manager_unavailable', {
    cache: 'miss',
    retryAfterMs: failure.retryAfterMs,
    isOutage: failure.cause !== 'client_error',
    detail: failure.detail,
  })
}

/** Fetch's CORS preflight: OPTIONS with Origin and Access-Control-Request-Method. */
function isPreflight(check: CheckView): boolean {
  return (
    check.method === 'OPTIONS' &&
    check.header('origin') !== undefined &&
    check.header('access-control-request-method') !== undefined
  )
}
