/** `[policy]` and `[[policy.rules]]`. */
import { type Row, row } from './schema-row.ts'

function layer(prefix: string): readonly Row[] {
  return [
    row(`${prefix}.requiredScopes`, 'list', 'All of them.', { default: [] }),
    row(`${prefix}.anyScopes`, 'list', 'At least one.', { default: [] }),
    row(`${prefix}.audience`, 'list', 'At least one.', { default: [] }),
    row(`${prefix}.issuer`, 'text', 'Exactly this `iss`.'),
    row(`${prefix}.clients`, 'list', 'One of these clients.', { default: [] }),
    row(`${prefix}.requiredClaims`, 'list', 'Names the answer must carry.', { default: [] }),
  ]
}

/** The policy of every request, and its rules: the first that matches counts. */
export function policyRows(): readonly Row[] {
  const rule = 'policy.rules[]'
  return [
    ...layer('policy'),
    row('policy.noMatch', 'text', '`deny`: a request no rule matches is refused.', {
      default: 'allow',
      choices: ['allow', 'deny'],
    }),
    row('policy.acrValues', 'any', 'Step-up authentication.', { status: 'later' }),
    row('policy.maxAuthAge', 'any', 'Step-up authentication.', { status: 'later' }),
    row(
      'policy.rules',
      'tables',
      'Rules; the first that matches counts, so one that matches every request stands last.',
    ),
    row(`${rule}.name`, 'text', 'Name in the log; absent: `rule-N`.'),
    row(`${rule}.hosts`, 'list', 'Host names, or `*.example.com` for everything below; empty: any.', { default: [] }),
    row(`${rule}.methods`, 'list', 'Methods, compared exactly; empty: any.', { default: [] }),
    row(`${rule}.paths`, 'list', 'Normalised paths, or `/x/*` for a path and everything below; empty: any.', {
      default: [],
    }),
    ...layer(rule),
    row(`${rule}.anonymous`, 'boolean', 'true: no token is fine; a token that is sent must still be good.', {
      default: false,
    }),
    row(
      `${rule}.enforce`,
      'boolean',
      'false: the conditions of this rule are only counted and logged, and the rules behind it are looked at all the same; for `noMatch` it is a match.',
      {
        default: true,
      },
    ),
  ]
}

/** Prefix of the rows that describe one element of `[[policy.rules]]`. */
export const RULE_PREFIX = 'policy.rules[].'
