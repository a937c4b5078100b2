/** `[policy]` and `[[policy.rules]]`. */
import type { PolicyLayer, PolicyRule, PolicySettings } from '../authz/ports.ts'
import { nearest } from './nearest.ts'
import { hostProblem, itemProblem, matchProblem, methodProblem, pathProblem, scopeProblem } from './policy-words.ts'
import { isReference } from './references.ts'
import type { Report } from './report.ts'
import { nameOf, SCHEMA } from './schema.ts'
import { RULE_PREFIX } from './schema-policy.ts'
import type { Settings } from './settings.ts'
import { isTable } from './tables.ts'
import { readValue, type Value } from './values.ts'

const ruleRows = SCHEMA.filter((row) => row.path.startsWith(RULE_PREFIX))

/** What every request must hold, and the rules. */
export function readPolicy(settings: Settings, report: Report): PolicySettings {
  for (const key of ['policy.acrValues', 'policy.maxAuthAge']) {
    if (settings.source(key) !== undefined)
      report.error(key, 'Step-up authentication is not supported yet. Remove the key.')
  }
  const layer = readLayer(
    (name) => settings.value(`policy.${name}`),
    (name) => settings.raw(`policy.${name}`),
    'policy',
    report,
  )
  const written = settings.value('policy.rules')
  const rules = Array.isArray(written)
    ? written.map((rule: unknown, index) => readRule(rule, index, settings, report))
    : []
  const names = new Set<string>()
  for (const [index, { name }] of rules.entries()) {
    if (names.has(name)) report.error(`policy.rules[${index}].name`, `Two rules are named \`${name}\`. Rename one.`)
    names.add(name)
  }
  if (Array.isArray(written)) warnOfUnreachable(rules, written, report)
  return { ...layer, noMatch: settings.text('policy.noMatch') === 'deny' ? 'deny' : 'allow', rules }
}

/** The first match counts: what stands behind a rule for every request says nothing, though somebody wrote it to protect. */
function warnOfUnreachable(rules: readonly PolicyRule[], written: readonly unknown[], report: Report): void {
  const index = rules.findIndex((rule, at) => rule.enforce && matchesAll(rule) && !holdsUnread(written[at], rule))
  const rule = rules[index]
  const behind = rules.slice(index + 1).map(({ name }) => `\`${name}\``)
  if (rule === undefined || behind.length === 0) return
  const which = rule.paths.length === 0 ? 'no hosts, methods and paths' : 'the path `/*` and no hosts and methods'
  const never = `${behind.join(', ')} ${behind.length === 1 ? 'is' : 'are'} never reached`
  report.warning(
    `policy.rules[${index}]`,
    `The rule \`${rule.name}\` has ${which}, so it matches every request, and the first match counts: ${never}. Move it to the end, or say which requests it is for.`,
  )
}

function matchesAll({ hosts, methods, paths }: PolicyRule): boolean {
  return hosts.length === 0 && methods.length === 0 && (paths.length === 0 || paths.includes('/*'))
}

/** Whether something is written that could not be read, and was reported: what the rule matches is not known then. */
function holdsUnread(written: unknown, rule: PolicyRule): boolean {
  return (['hosts', 'methods', 'paths'] as const).some((name) => {
    const value = isTable(written) ? written[name] : undefined
    const isNothing = value === undefined || value === '' || (Array.isArray(value) && value.length === 0)
    return !isNothing && rule[name].length === 0
  })
}

function readRule(rule: unknown, index: number, settings: Settings, report: Report): PolicyRule {
  const at = `policy.rules[${index}]`
  const values = new Map<string, Value>()
  for (const [key, written] of Object.entries(isTable(rule) ? rule : {})) {
    const row = ruleRows.find((candidate) => nameOf(candidate.path) === key)
    if (row === undefined) {
      const near = nearest(
        key,
        ruleRows.map((candidate) => nameOf(candidate.path)),
      )
      report.error(`${at}.${key}`, `Unknown key. The nearest known key of a rule is \`${near ?? ''}\`.`)
      continue
    }
    const read = readValue(row, written, {
      env: settings.env,
      fromText: false,
      follow: true,
      usesFile: (path) => settings.usesFile(path),
    })
    if (read.kind === 'value') values.set(key, read.value)
    if (read.kind === 'problem') report.error(`${at}.${key}`, `\`${key}\` ${read.problem}.`)
  }
  const list = (name: string): readonly string[] => texts(values.get(name))
  const raw = (name: string): unknown => (isTable(rule) ? rule[name] : undefined)
  const name = values.get('name')
  checkWords(list('hosts'), raw('hosts'), `${at}.hosts`, (host) => hostProblem(host.toLowerCase()), report)
  checkWords(list('methods'), raw('methods'), `${at}.methods`, methodProblem, report)
  checkWords(list('paths'), raw('paths'), `${at}.paths`, pathProblem, report)
  return {
    ...readLayer((key) => values.get(key), raw, at, report),
    name: typeof name === 'string' ? name : `rule-${index + 1}`,
    hosts: list('hosts').map((host) => host.toLowerCase()),
    methods: list('methods'),
    paths: list('paths'),
    anonymous: values.get('anonymous') === true,
    enforce: values.get('enforce') !== false,
  }
}

function readLayer(
  value: (name: string) => Value | undefined,
  raw: (name: string) => unknown,
  at: string,
  report: Report,
): PolicyLayer {
  const list = (name: string): readonly string[] => texts(value(name))
  const issuer = value('issuer')
  for (const name of ['requiredScopes', 'anyScopes'])
    checkWords(list(name), raw(name), `${at}.${name}`, scopeProblem, report)
  for (const name of ['audience', 'clients', 'requiredClaims'])
    checkWords(list(name), raw(name), `${at}.${name}`, itemProblem, report)
  if (typeof issuer === 'string') checkWords([issuer], raw('issuer'), `${at}.issuer`, matchProblem, report)
  return {
    requiredScopes: list('requiredScopes'),
    anyScopes: list('anyScopes'),
    audience: list('audience'),
    issuer: typeof issuer === 'string' ? issuer : undefined,
    clients: list('clients'),
    requiredClaims: list('requiredClaims'),
  }
}

function texts(value: Value | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

/** What a reference names may be a secret put in the wrong place: only what stands in the file itself is quoted. */
function checkWords(
  words: readonly string[],
  raw: unknown,
  key: string,
  problemOf: (word: string) => string | undefined,
  report: Report,
): void {
  for (const word of words) {
    const problem = problemOf(word)
    if (problem === undefined) continue
    const isLiteral = Array.isArray(raw) ? raw.includes(word) : typeof raw === 'string' && !isReference(raw)
    report.error(key, `${isLiteral ? JSON.stringify(word.slice(0, 100)) : 'What its reference names'} ${problem}.`)
  }
}
