/** What each reason for a refusal says, in a few words; docs/operations.md has the causes and what to do. */
import type { DenyReason } from '../authz/ports.ts'

const WORDS: Readonly<Record<DenyReason, string>> = {
  not_http: 'The request carries no HTTP attributes: Envoy asked through its TCP filter.',
  malformed_request: 'The bytes Envoy sent are no CheckRequest.',
  invalid_route_policy: "The route's context_extensions hold a wrong value or a misspelt key.",
  missing_credentials: 'No token, or another scheme than Bearer.',
  malformed_credentials: 'No well-formed bearer token, two of them, or one longer than 8 KiB.',
  inactive_token: 'The key manager says the token is not active.',
  expired_token: 'The token has expired.',
  premature_token: 'The token is not valid yet: compare the clocks.',
  wrong_issuer: 'Policy names another issuer.',
  wrong_audience: 'Policy names another audience.',
  not_an_access_token: 'A refresh, offline or ID token.',
  binding_failed: 'The token is bound to a key, and the proof is not supported yet.',
  insufficient_scope: 'The token lacks a scope the rule or route asks for.',
  wrong_client: 'Policy does not list the client of the token.',
  missing_claim: 'The answer lacks a claim that policy asks for.',
  no_matching_rule: 'No rule matches the request, and policy.noMatch is "deny".',
  insufficient_authentication: 'A stronger authentication is asked for.',
  ambiguous_path: 'The path can be read in two ways.',
  key_manager_unavailable: 'The key manager gave no usable answer in time.',
  overloaded: 'Too many introspections were under way or waiting.',
  internal_error: 'An exception: see check_failed in the log.',
}

/** By reason; a name that is none has no words. */
export const REFUSAL_WORDS: Readonly<Record<string, string>> = WORDS
