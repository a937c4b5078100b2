/** The domain on hand-made ports: an introspector that answers what the test says, a fake clock, the real cache. */
import { createAnswers } from '../../src/authz/answers.ts'
import { type AuthorizerSettings, createAuthorizer } from '../../src/authz/authorizer.ts'
import type { LifeSettings } from '../../src/authz/introspection.ts'
import type {
  Cancellation,
  CheckView,
  Claims,
  Decision,
  Introspected,
  PolicySettings,
  ReplySlot,
} from '../../src/authz/ports.ts'
import { createAnswerCache, createAnswerMemory } from '../../src/cache/answer-cache.ts'
import { createAnswerKey } from '../../src/cache/answer-key.ts'
import { createFakeClock } from './clock.ts'

export const OPEN_POLICY: PolicySettings = {
  requiredScopes: [],
  anyScopes: [],
  audience: [],
  issuer: undefined,
  clients: [],
  requiredClaims: [],
  noMatch: 'allow',
  rules: [],
}

export function claims(more: Partial<Claims> = {}): Claims {
  return {
    sub: 'alice',
    username: undefined,
    clientId: 'shop',
    iss: 'https://idp.example.com',
    audience: ['api'],
    scopes: ['a', 'b'],
    tokenType: 'Bearer',
    expSec: undefined,
    nbfSec: undefined,
    isAccessToken: true,
    isBound: false,
    json: '{"active":true,"sub":"alice"}',
    ...more,
  }
}

/** A slot that keeps, for answers made by hand. */
export function replySlot(): ReplySlot {
  let keeper: object | undefined
  let kept: Uint8Array = new Uint8Array()
  return {
    copy: (owner) => (owner === keeper ? Buffer.from(kept) : undefined),
    keep(owner, reply) {
      keeper = owner
      kept = Uint8Array.from(reply)
    },
  }
}

/** The store key of a token. */
export const keyOf = createAnswerKey({ keyManager: 'idp', introspectUrl: 'http://127.0.0.1/', clientIdentity: 'gw' })

export function view(
  more: Partial<Omit<CheckView, 'header'>> & {
    headers?: Record<string, string>
    context?: Record<string, string>
  } = {},
): CheckView {
  const { headers = {}, context = {}, ...rest } = more
  return {
    form: 'http',
    method: 'GET',
    path: '/',
    host: 'api.example.com',
    credentials: 'Bearer good',
    credentialsCount: 1,
    contextKey: JSON.stringify(context) === '{}' ? '' : JSON.stringify(context),
    contextExtensions: () => new Map(Object.entries(context)),
    header: (name) => headers[name],
    ...rest,
  }
}

const LIFE: LifeSettings = { activeLifeMs: 60_000, inactiveLifeMs: 10_000, timestampSkewMs: 5000 }

export function createDomain(
  options: {
    policy?: Partial<PolicySettings>
    settings?: Partial<AuthorizerSettings>
    life?: Partial<LifeSettings>
  } = {},
) {
  const clock = createFakeClock()
  const asked: string[] = []
  let next: (token: string) => Introspected | Promise<Introspected> = () => ({ kind: 'active', claims: claims() })
  let joined = 0
  const metrics = { cacheOperation() {}, waiterJoined: () => void joined++ }
  const memory = createAnswerMemory({ capacity: 100, inactiveCapacity: 10 })
  const cache = createAnswerCache(memory, { clock, metrics })
  const life = { ...LIFE, ...options.life }
  const introspector = {
    async introspect(token: string) {
      asked.push(token)
      return next(token)
    },
  }
  const answers = createAnswers({ cache, introspector, clock, metrics }, life)
  const authorizer = createAuthorizer(
    { answers, clock, keyOf },
    {
      policy: { ...OPEN_POLICY, ...options.policy },
      allowCorsPreflight: false,
      timestampSkewMs: life.timestampSkewMs,
      ...options.settings,
    },
  )
  return {
    clock,
    asked,
    memory,
    joined: () => joined,
    answer(with_: typeof next) {
      next = with_
    },
    authorize(
      check: CheckView,
      {
        deadlineMs = clock.monotonicMs() + 2000,
        cancellation = { cancelled: false, whenCancelled: undefined } as Cancellation,
      } = {},
    ): Decision | Promise<Decision> {
      return authorizer.authorize(check, deadlineMs, cancellation)
    },
  }
}
