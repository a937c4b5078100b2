import { expect } from 'chai'
import { describe, it } from 'mocha'
import type { EffectiveValue } from '../../../src/config/effective.ts'
import { mergeStatus, type Status } from '../../../src/server/status.ts'
import { renderStatusPage, type StatusPage } from '../../../src/server/status-page.ts'
import type { RecentDeny } from '../../../src/telemetry/decision-log.ts'
import { STARTED, withKeyManager } from '../../support/status.ts'

const NOW = '2026-11-25T12:00:00.000Z'
const HOSTILE = `</code><script>alert(1)</script><img src=x onerror="alert('2')">&amp;\u202e`

function render(page: Partial<StatusPage> = {}): string {
  return renderStatusPage({ status: STARTED, denies: [], configuration: undefined, nowMs: Date.parse(NOW), ...page })
}

/** What a person reads: tags gone, entities resolved. */
function read(page: Partial<StatusPage>, id?: string): string {
  const markup = render(page).replace(/<style>.*?<\/style>/s, '')
  const part = id === undefined ? markup : (markup.split(`id="${id}"`)[1]?.split('</section>')[0] ?? '')
  const entities: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&amp;': '&' }
  return part
    .replace(/<meter.*?<\/meter>/g, '')
    .replace(/<\/?(?:span|code|time|bdi|a|strong|wbr)\b[^>]*>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(?:lt|gt|quot|#39|amp);/g, (entity) => entities[entity] ?? entity)
    .replace(/\s+/g, ' ')
}

const DENY: RecentDeny = {
  time: '2026-11-25T11:59:48.000Z',
  decision_id: '0a0a0a0a-000000000001',
  decision: 'deny',
  reason: 'inactive_token',
  method: 'GET',
  host: 'api.example.com',
  path: '/orders',
  request_id: undefined,
  cache: 'miss',
  duration_ms: 3,
  would_deny: undefined,
  detail: undefined,
}

const OWN = { expiresAt: undefined, nextAttemptInMs: undefined, lastError: undefined }

describe('the status page', () => {
  it('F38 escapes hostile methods, hosts, paths, ids, details, reasons and addresses', () => {
    const deny = {
      ...DENY,
      ...{ method: HOSTILE, host: HOSTILE, path: HOSTILE, detail: HOSTILE, decision_id: HOSTILE, time: HOSTILE },
      reason: HOSTILE as RecentDeny['reason'],
    }
    const status: Status = {
      ...withKeyManager({
        url: HOSTILE,
        lastFailure: { at: HOSTILE, tookMs: 1, cause: HOSTILE, detail: HOSTILE },
        ownToken: { ...OWN, state: 'failed', lastError: HOSTILE },
        discovery: HOSTILE,
      }),
      version: HOSTILE,
      startedAt: HOSTILE,
      configLoadedAt: HOSTILE,
      totals: { ...STARTED.totals, denied: { [HOSTILE]: 1 }, introspections: { [HOSTILE]: 1 } },
    }
    const value: EffectiveValue = {
      key: HOSTILE,
      value: HOSTILE,
      source: { kind: 'variable', name: HOSTILE },
      reference: HOSTILE,
    }
    const page = render({ status, denies: [deny], configuration: { file: HOSTILE, values: [value] } })
    const tags = new Set([...page.matchAll(/<\/?([a-z0-9]+)/g)].map(([, name]) => name))
    expect([tags.has('script'), tags.has('img'), tags.has('table')]).to.deep.equal([false, false, true])
    expect(page.replace(/"[^"]*"/g, '""')).to.not.match(/<[^>]*\sonerror/)
    expect(page).to.contain('\\u{202e}')
    expect(page).to.not.contain('\u202e')
    // Each `<` of a tag is one of ours: as many as in a page without hostile texts.
    const tame = render({
      status: {
        ...withKeyManager({
          lastFailure: { at: NOW, tookMs: 1, cause: 'x', detail: 'x' },
          ownToken: { ...OWN, state: 'failed', lastError: 'x' },
          discovery: 'x',
        }),
        totals: { ...STARTED.totals, denied: { x: 1 }, introspections: { x: 1 } },
      },
      denies: [{ ...DENY, reason: 'overloaded', detail: 'x' }],
      configuration: {
        file: 'x',
        values: [{ key: 'x', value: 'x', source: { kind: 'variable', name: 'x' }, reference: 'x' }],
      },
    })
    expect(page.match(/</g)?.length).to.equal(tame.match(/</g)?.length)
  })

  it('begins with the verdict, in the title too', () => {
    const status = withKeyManager({ breaker: 'open', pausedForMs: 500 })
    const words = 'Key manager unreachable: breaker open, Checks without a remembered answer get 503'
    expect(render({ status })).to.contain(`<title>${words}`).and.to.contain(`<strong>${words}</strong>`)
    expect(render({ status: { ...STARTED, restartRequired: true } })).to.contain('it needs a restart')
    expect(render()).to.not.contain('it needs a restart')
  })

  it('asks in the order of an operator', () => {
    const values: EffectiveValue[] = []
    const page = render({
      status: mergeStatus([{ pid: 1, status: STARTED }]),
      configuration: { file: '/etc/x.conf', values },
    })
    expect([...page.matchAll(/<section id="([^"]*)"/g)].map(([, id]) => id)).to.deep.equal([
      ...['key-manager', 'own-token', 'breaker', 'memory', 'refused', 'configuration', 'workers'],
    ])
  })

  it('reads well where nothing has happened yet', () => {
    expect(read({}, 'key-manager')).to.contain('Last answer none yet under this configuration')
    expect(read({}, 'key-manager')).to.contain('Last failure none').and.contain('Outcomes none yet')
    expect(read({}, 'own-token')).to.contain('None needed')
    expect(read({}, 'memory')).to.contain('Active 0 of 10,000 (0 %)').and.contain('Hit share no look-up yet')
    expect(read({}, 'refused')).to.contain('No Check yet.').and.contain('None yet.')
    expect(read({})).to.not.match(/undefined|NaN|null/)
  })

  it('says when the key manager answered and failed, how, and how long it took', () => {
    const status = {
      ...withKeyManager({
        inFlight: 3,
        waiting: 12,
        lastSuccess: { at: '2026-11-25T11:59:58.000Z', tookMs: 9 },
        lastFailure: {
          at: '2026-11-25T11:57:00.000Z',
          tookMs: 2000,
          cause: 'timeout',
          detail: 'no complete answer within 2000 ms',
        },
      }),
      totals: { ...STARTED.totals, introspections: { timeout: 2, active: 1200 } },
    }
    const text = read({ status }, 'key-manager')
    expect(text).to.contain('Last answer 2.0 s ago, after 9 ms')
    expect(text).to.contain('Last failure 3 min ago, after 2.0 s: timeout. No complete answer within 2000 ms.')
    expect(text).to.contain('Calls now 3 under way, 12 waiting')
    expect(text).to.contain('Outcomes active 1,200, timeout 2')
  })

  const ownTokens = [
    [
      { ...OWN, state: 'fresh', expiresAt: '2026-11-25T12:42:00.000Z', nextAttemptInMs: 1_800_000 },
      /alive Good until 2026-11-25 12:42:00 UTC, in 42 min Renewal in 30 min Last error none/,
    ],
    [{ ...OWN, state: 'fresh' }, /alive Good until it does not expire Last error none/],
    [
      { ...OWN, state: 'renewing', expiresAt: '2026-11-25T12:05:00.000Z' },
      /alive, being renewed Good until 2026-11-25 12:05:00 UTC, in 5 min/,
    ],
    [{ ...OWN, state: 'fetching' }, /being obtained/],
    [{ ...OWN, state: 'none' }, /not asked for yet/],
    [
      { ...OWN, state: 'failed', nextAttemptInMs: 30_000, lastError: 'invalid_client' },
      /none: the last attempt failed Next attempt in 30 s Last error Invalid_client\./,
    ],
  ] as const
  for (const [ownToken, words] of ownTokens) {
    it(`says of an own token that is ${ownToken.state}: ${words.source}`, () => {
      expect(read({ status: withKeyManager({ ownToken }) }, 'own-token')).to.match(words)
    })
  }

  const breakers = [
    [{ breaker: 'closed' }, 'closed: calls go out'],
    [{ breaker: 'closed', pausedForMs: 7000 }, 'closed, but the key manager asked for fewer calls: none for 7.0 s.'],
    [{ breaker: 'open', pausedForMs: 800 }, 'No call for 800 ms, then one tries it.'],
    [{ breaker: 'open' }, 'The next Check without a remembered answer tries it.'],
    [{ breaker: 'half_open', pausedForMs: 1000 }, 'half open: one call is out'],
  ] as const
  for (const [state, words] of breakers) {
    it(`says of a breaker that is ${state.breaker}: ${words}`, () => {
      expect(read({ status: withKeyManager(state) }, 'breaker')).to.contain(words)
    })
  }

  it('says how full the memory is and how useful', () => {
    const status = {
      ...STARTED,
      cache: { active: 2_500, inactive: 1_000, activeCapacity: 10_000, inactiveCapacity: 1_000 },
      totals: { ...STARTED.totals, lookups: { hit: 931, miss: 69 } },
    }
    const text = read({ status }, 'memory')
    expect(text).to.contain('Active 2,500 of 10,000 (25 %)').and.contain('Inactive 1,000 of 1,000 (100 %)')
    expect(text).to.contain('Hit share 93.1 % of 1,000 look-ups')
  })

  it('counts refusals by reason, most first, and lists the last with a link to each', () => {
    const totals = {
      ...STARTED.totals,
      checks: { allow: 980, deny: 18, error: 2 },
      denied: { inactive_token: 3, insufficient_scope: 15, key_manager_unavailable: 2 },
    }
    const page = { status: { ...STARTED, totals }, denies: [{ ...DENY, detail: 'the breaker is open' }] }
    const text = read(page, 'refused')
    expect(text).to.contain('20 of 1,000 since the start (2 %), 2 of them as an error for Envoy to decide')
    expect(text).to.match(/insufficient_scope 15 The token lacks.* inactive_token 3 .* key_manager_unavailable 2/)
    expect(text).to.contain(
      '12 s ago 0a0a0a0a-000000000001 inactive_token GET api.example.com/orders The breaker is open.',
    )
    expect(render(page)).to.contain('<a href="/decisions/0a0a0a0a-000000000001">')
  })

  it('lists fifty denies and says where the others are', () => {
    const denies = Array.from({ length: 200 }, () => DENY)
    expect(render({ denies }).match(/href="\/decisions\/0a/g)).to.have.length(50)
    expect(read({ denies }, 'refused')).to.contain('The newest 50; /decisions has 200.')
  })

  it('says which configuration is in force and where each value comes from', () => {
    const values: EffectiveValue[] = [
      { key: 'keyManager.timeout', value: '2s', source: undefined, reference: undefined },
      { key: 'log.level', value: '"warn"', source: { kind: 'flag', name: 'log.level' }, reference: undefined },
      { key: 'log.allow', value: 'true', source: { kind: 'variable', name: 'log_allow' }, reference: undefined },
      {
        key: 'keyManager.security.basic.password',
        value: '[redacted]',
        source: { kind: 'file', line: 8 },
        reference: '@file:{/run/secrets/gateway}',
      },
    ]
    const text = read({ configuration: { file: '/etc/micro-gw.conf', values } }, 'configuration')
    expect(text).to.contain('Loaded 3 h ago, from /etc/micro-gw.conf, the environment and flags.')
    expect(text).to.contain('3 keys set').and.contain('1 key at its default')
    expect(text).to.contain('log.level "warn" flag log.level').and.contain('environment variable log_allow')
    expect(text).to.contain('[redacted] the file, line 8, which names @file:{/run/secrets/gateway}')
    expect(text).to.contain('keyManager.timeout 2s default')
  })

  it('says of a worker which it is, how often it was replaced, and that it does not answer', () => {
    const known = { restarts: 3, connections: 1, status: withKeyManager({ breaker: 'open' }) }
    const status = mergeStatus([
      { worker: 1, pid: 11, answers: true, ...known },
      { worker: 2, pid: 12, answers: false, ...known },
    ])
    expect(read({ status }, 'workers')).to.match(
      /1, process 11 Key manager unreachable: .* open 1 0 0 3 2, process 12 Does not answer: these are its last figures open 1 0 0 3/,
    )
    // All of them say so: there is nothing to take back.
    expect(read({ status })).to.not.contain('This holds for')
  })

  it('shows each worker where there are several', () => {
    const status = mergeStatus([
      { pid: 11, status: withKeyManager({ lastSuccess: { at: NOW, tookMs: 1 } }) },
      { pid: 12, status: withKeyManager({ breaker: 'open' }) },
    ])
    expect(read({ status }, 'workers')).to.match(
      /process 11 Answering closed 0 0 process 12 Key manager unreachable: .* open 0 0/,
    )
    expect(read({ status })).to.contain('This holds for 1 of 2 workers')
    expect(render()).to.not.contain('id="workers"')
  })
})
