/**
 * The status page at `/` of the local admin listener: what an operator asks first, in that order. One document, no
 * script, nothing from elsewhere; everything in it is escaped by `html`.
 */
import type { Effective, EffectiveValue } from '../config/effective.ts'
import { shownUrl } from '../config/url.ts'
import type { RecentDeny } from '../telemetry/decision-log.ts'
import { Html, html, NOTHING } from './html.ts'
import { REFUSAL_WORDS } from './refusal-words.ts'
import type { Status, WorkerStatus } from './status.ts'
import { STATUS_STYLE } from './status-style.ts'
import { sentence, type Verdict, verdictOf } from './verdict.ts'
import { countWords, distanceWords, durationWords, instantWords, shareWords } from './words.ts'

export interface StatusPage {
  readonly status: Status
  /** Newest first. */
  readonly denies: readonly RecentDeny[]
  /** Undefined: not shown. */
  readonly configuration: Effective | undefined
  readonly nowMs: number
}

/** How many denies are listed; `/decisions` has them all. */
const LISTED = 50

/** `page` must hold no secrets: what it holds is shown. */
export function renderStatusPage(page: StatusPage): string {
  const { status, nowMs } = page
  const { words, tone, detail } = verdictOf(status)
  const document = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>${words} - micro-gw-authz</title><style>${new Html(STATUS_STYLE)}</style></head><body>
<header><h1>micro-gw-authz ${status.version}</h1>
<span class="quiet">started ${distanceWords(status.startedAt, nowMs)}; as of ${instantWords(new Date(nowMs).toISOString())}</span></header>
<main>
<div class="verdict ${tone}" role="status"><strong>${words}</strong>${detail === '' ? NOTHING : html`<p>${detail}</p>`}${holdsFor(status.workers ?? [], words)}${status.restartRequired ? html`<p>The configuration asks for other listeners, workers or stores than are in use: it needs a restart.</p>` : NOTHING}</div>
<div class="cards">
${keyManagerSection(page)}
${ownTokenSection(page)}
${breakerSection(status)}
${memorySection(status)}
</div>
${refusalsSection(page)}
${configurationSection(page)}
${workersSection(status.workers ?? [])}
</main>
<footer class="quiet">As JSON: <a href="/status">/status</a>, <a href="/decisions">/decisions</a>, <a href="/config">/config</a>. Load the page again for newer figures.</footer>
</body></html>
`
  return document.markup
}

function keyManagerSection({ status, nowMs }: StatusPage): Html {
  const { keyManager, totals } = status
  const { lastSuccess, lastFailure } = keyManager
  const outcomes = Object.entries(totals.introspections).toSorted(([, a], [, b]) => b - a)
  return html`<section id="key-manager"><h2>Key manager</h2><dl>
${fact('Endpoint', html`<code>${shownUrl(keyManager.url)}</code>`)}
${fact('Last answer', lastSuccess === undefined ? html`none yet under this configuration` : html`${time(lastSuccess.at, nowMs)}, after ${durationWords(lastSuccess.tookMs)}`)}
${fact('Last failure', lastFailure === undefined ? html`none under this configuration` : html`${time(lastFailure.at, nowMs)}, after ${durationWords(lastFailure.tookMs)}: <code>${lastFailure.cause}</code>. ${sentence(lastFailure.detail)}`)}
${fact('Calls now', html`${countWords(keyManager.inFlight)} under way, ${countWords(keyManager.waiting)} waiting`)}
${fact('Outcomes', outcomes.length === 0 ? html`none yet` : list(outcomes.map(([outcome, count]) => html`${outcome} ${countWords(count)}`)))}
${keyManager.discovery === undefined ? NOTHING : fact('Discovery', html`failed: ${sentence(keyManager.discovery)}`)}
</dl></section>`
}

function ownTokenSection({ status, nowMs }: StatusPage): Html {
  const { ownToken } = status.keyManager
  if (ownToken === undefined) {
    return html`<section id="own-token"><h2>Own token</h2><p>None needed: the sidecar authenticates to the key manager as a client.</p></section>`
  }
  const { state, expiresAt, nextAttemptInMs, lastError } = ownToken
  const holds = state === 'fresh' || state === 'renewing'
  return html`<section id="own-token"><h2>Own token</h2><dl>
${fact('State', ownTokenState(state))}
${holds ? fact('Good until', expiresAt === undefined ? html`it does not expire` : html`${instantWords(expiresAt)}, ${time(expiresAt, nowMs)}`) : NOTHING}
${nextAttemptInMs === undefined ? NOTHING : fact(holds ? 'Renewal' : 'Next attempt', html`in ${durationWords(nextAttemptInMs)}`)}
${fact('Last error', lastError === undefined ? html`none` : html`${sentence(lastError)}`)}
</dl></section>`
}

function ownTokenState(state: NonNullable<Status['keyManager']['ownToken']>['state']): Html {
  switch (state) {
    case 'fresh':
      return html`<span class="state good">alive</span>`
    case 'renewing':
      return html`<span class="state good">alive</span>, being renewed`
    case 'fetching':
      return html`<span class="state warn">being obtained</span>`
    case 'none':
      return html`<span class="state warn">not asked for yet</span>`
    case 'failed':
      return html`<span class="state bad">none</span>: the last attempt failed`
    default:
      return state satisfies never
  }
}

function breakerSection({ keyManager }: Status): Html {
  return html`<section id="breaker"><h2>Circuit breaker</h2><p>${breakerWords(keyManager)}</p></section>`
}

function breakerWords({ breaker, pausedForMs }: Status['keyManager']): Html {
  const paused = pausedForMs === undefined ? '' : durationWords(pausedForMs)
  switch (breaker) {
    case 'closed':
      return paused === ''
        ? html`<span class="state good">closed</span>: calls go out to the key manager.`
        : html`<span class="state bad">closed</span>, but the key manager asked for fewer calls: none for ${paused}.`
    case 'open':
      return html`<span class="state bad">open</span>: the key manager failed several times in a row. ${paused === '' ? 'The next Check without a remembered answer tries it.' : html`No call for ${paused}, then one tries it.`}`
    case 'half_open':
      return html`<span class="state warn">half open</span>: one call is out; its answer closes the breaker or opens it again.`
    default:
      return breaker satisfies never
  }
}

function memorySection({ cache, totals }: Status): Html {
  const { hit, miss } = totals.lookups
  const lookups = hit + miss
  return html`<section id="memory"><h2>Remembered answers</h2><dl>
${fact('Active', fill(cache.active, cache.activeCapacity))}
${fact('Inactive', fill(cache.inactive, cache.inactiveCapacity))}
${fact('Hit share', lookups === 0 ? html`no look-up yet` : html`${shareWords(hit, lookups)} of ${countWords(lookups)} look-ups<br><meter min="0" max="${lookups}" value="${hit}">${shareWords(hit, lookups)}</meter>`)}
</dl></section>`
}

function fill(entries: number, capacity: number): Html {
  const share = shareWords(entries, capacity)
  return html`${countWords(entries)} of ${countWords(capacity)} (${share})<br><meter min="0" max="${capacity}" value="${entries}">${share}</meter>`
}

function refusalsSection({ status, denies, nowMs }: StatusPage): Html {
  const { allow, deny, error } = status.totals.checks
  const refused = deny + error
  const all = allow + refused
  const reasons = Object.entries(status.totals.denied).toSorted(([, a], [, b]) => b - a)
  const failed = error === 0 ? NOTHING : html`, ${countWords(error)} of them as an error for Envoy to decide`
  return html`<section id="refused"><h2>Refused Checks</h2>
<p>${all === 0 ? 'No Check yet.' : html`${countWords(refused)} of ${countWords(all)} since the start (${shareWords(refused, all)})${failed}. ${countWords(status.checksInFlight)} waiting for an answer.`}</p>
${
  reasons.length === 0
    ? NOTHING
    : html`<table class="rows"><thead><tr><th>reason</th><th class="number">count</th><th>what it says</th></tr></thead><tbody>${reasons.map(([reason, count]) => html`<tr><td class="name"><code>${breakable(reason)}</code></td><td class="number" data-name="count">${countWords(count)}</td><td>${REFUSAL_WORDS[reason] ?? ''}</td></tr>`)}</tbody></table>`
}
<h3>The last of them</h3>
${denies.length === 0 ? html`<p>None yet.</p>` : html`<table class="rows"><thead><tr><th>when</th><th>decision</th><th>reason</th><th>request</th></tr></thead><tbody>${denies.slice(0, LISTED).map((one) => denyRow(one, nowMs))}</tbody></table>`}
${denies.length > LISTED ? html`<p class="quiet">The newest ${LISTED}; <a href="/decisions">/decisions</a> has ${denies.length}.</p>` : NOTHING}
</section>`
}

function denyRow({ time: at, decision_id, reason, method, host, path, detail }: RecentDeny, nowMs: number): Html {
  return html`<tr><td class="time">${time(at, nowMs)}</td><td class="id"><a href="/decisions/${decision_id}"><code>${decision_id}</code></a></td><td class="name"><code>${breakable(reason)}</code></td><td><code><bdi>${method}</bdi> <bdi>${host}</bdi><bdi>${path}</bdi></code>${detail === undefined ? NOTHING : html`<br>${sentence(detail)}`}</td></tr>`
}

function configurationSection({ status, configuration, nowMs }: StatusPage): Html {
  if (configuration === undefined) return NOTHING
  const written = configuration.values.filter(({ source }) => source !== undefined)
  const defaults = configuration.values.filter(({ source }) => source === undefined)
  return html`<section id="configuration"><h2>Configuration in force</h2>
<p>Loaded ${time(status.configLoadedAt, nowMs)}, from <code>${configuration.file}</code>, the environment and flags.</p>
<details><summary>${keys(written.length)} set</summary>${valuesTable(written)}</details>
<details><summary>${keys(defaults.length)} at ${defaults.length === 1 ? 'its' : 'their'} default</summary>${valuesTable(defaults)}</details>
</section>`
}

function keys(count: number): string {
  return count === 1 ? '1 key' : `${countWords(count)} keys`
}

function valuesTable(values: readonly EffectiveValue[]): Html {
  if (values.length === 0) return html`<p>None.</p>`
  return html`<table class="rows"><thead><tr><th>key</th><th>value</th><th>from</th></tr></thead><tbody>${values.map(
    (one) =>
      html`<tr><td class="name"><code>${breakable(one.key)}</code></td><td data-name="value"><code>${one.value}</code></td><td data-name="from">${sourceWords(one)}</td></tr>`,
  )}</tbody></table>`
}

function sourceWords({ source, reference }: EffectiveValue): Html {
  const elsewhere = reference === undefined ? NOTHING : html`, which names <code>${reference}</code>`
  switch (source?.kind) {
    case undefined:
      return html`default`
    case 'file':
      return html`the file${source.line === undefined ? '' : `, line ${source.line}`}${elsewhere}`
    case 'variable':
      return html`environment variable <code>${source.name}</code>${elsewhere}`
    case 'flag':
      return html`flag <code>${source.name}</code>${elsewhere}`
    default:
      return source satisfies never
  }
}

function workersSection(workers: readonly WorkerStatus[]): Html {
  if (workers.length === 0) return NOTHING
  return html`<section id="workers"><h2>Workers</h2><p>The figures above are all of theirs together.</p>
<table class="rows"><thead><tr><th>worker</th><th>state</th><th>breaker</th><th class="number">connections</th><th class="number">waiting Checks</th><th class="number">answers held</th><th class="number">restarts</th></tr></thead><tbody>${workers.map(
    (one) => {
      const { words, tone } = workerVerdict(one)
      const { cache, keyManager, checksInFlight } = one.status
      return html`<tr><td>${one.worker === undefined ? '' : `${one.worker}, `}process ${one.pid}</td><td><span class="state ${tone}">${words}</span></td><td data-name="breaker">${keyManager.breaker}</td><td class="number" data-name="connections">${optionalCount(one.connections)}</td><td class="number" data-name="waiting Checks">${countWords(checksInFlight)}</td><td class="number" data-name="answers held">${countWords(cache.active + cache.inactive)}</td><td class="number" data-name="restarts">${optionalCount(one.restarts)}</td></tr>`
    },
  )}</tbody></table></section>`
}

function workerVerdict({ answers, status }: WorkerStatus): Pick<Verdict, 'words' | 'tone'> {
  if (answers === false) return { words: 'Does not answer: these are its last figures', tone: 'bad' }
  return verdictOf(status)
}

/** Of the worst worker: said of all only where it holds for all. */
function holdsFor(workers: readonly WorkerStatus[], words: string): Html {
  const count = workers.filter(({ status }) => verdictOf(status).words === words).length
  if (count === 0 || count === workers.length) return NOTHING
  return html`<p>This holds for ${count} of ${workers.length} workers: <a href="#workers">each of them</a>.</p>`
}

function optionalCount(count: number | undefined): string {
  return count === undefined ? '' : countWords(count)
}

function fact(name: string, value: Html): Html {
  return html`<dt>${name}</dt><dd>${value}</dd>`
}

function time(at: string, nowMs: number): Html {
  return html`<time datetime="${at}" title="${instantWords(at)}">${distanceWords(at, nowMs)}</time>`
}

/** A name of ours, which may be broken after its dots and underscores. */
function breakable(name: string): Html {
  return html`${name.split(/(?<=[._])/).map((part, index) => (index === 0 ? html`${part}` : html`<wbr>${part}`))}`
}

function list(items: readonly Html[]): Html {
  return html`${items.map((item, index) => (index === 0 ? item : html`, ${item}`))}`
}
