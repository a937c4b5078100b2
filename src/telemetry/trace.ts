/**
 * Tracing. Without an OpenTelemetry SDK the W3C context of a Check is passed on to the key manager as it came, and
 * nothing else happens. With one, loaded by the user before this program (`NODE_OPTIONS=--import`), a Check is a server
 * span and each call to the key manager a client span below it. Never in a span: a token, a subject, a client id, a path.
 */
import { createRequire } from 'node:module'
import type { CheckTrace, CheckView, Decision, TracedCall } from '../authz/ports.ts'
import { readTraceContext, type TraceContext, writeTraceContext } from './trace-context.ts'
import { VERSION } from './version.ts'

type Api = typeof import('@opentelemetry/api')

/** The part of gRPC metadata that is read. */
export interface TraceMetadata {
  get(name: string): readonly (string | Uint8Array)[]
}

/** The trace of one Check, until it is answered. */
export interface BegunTrace extends CheckTrace {
  /** Its Check waits: what is needed of the request is read now, and the request let go. Never throws. */
  wait(): void
  /** Once, with what was sent. `outcome`: as the metric `microgw_checks_total` counts it. Never throws. */
  end(outcome: 'allow' | 'deny' | 'error', decision: Decision, decisionId: string): void
}

export interface Tracing {
  /** Never throws: what goes wrong in an SDK costs a span, not an answer. */
  begin(metadata: TraceMetadata, check: CheckView): BegunTrace
}

const METHOD = 'envoy.service.auth.v3.Authorization/Check'

/** Looks once whether an SDK has registered itself: it must have done so before. */
export function createTracing(): Tracing {
  return isRegistered() ? createSpans(createRequire(import.meta.url)('@opentelemetry/api')) : passing
}

/** Where every release 1 of `@opentelemetry/api` keeps what is registered; asking the package would load it. */
function isRegistered(): boolean {
  const registered: unknown = Reflect.get(globalThis, Symbol.for('opentelemetry.js.api.1'))
  return typeof registered === 'object' && registered !== null && 'trace' in registered
}

const passing: Tracing = { begin: (metadata, check) => new PassedOn(metadata, check) }

/** Reads nothing before there is a call to make, or to wait for: a hit makes none. */
class PassedOn implements BegunTrace {
  private metadata: TraceMetadata | undefined
  private check: CheckView | undefined
  private context: TraceContext | undefined

  constructor(metadata: TraceMetadata, check: CheckView) {
    this.metadata = metadata
    this.check = check
  }

  call(): TracedCall | undefined {
    this.wait()
    return this.context === undefined ? undefined : { headers: writeTraceContext(this.context), end() {} }
  }

  wait(): void {
    const { metadata, check } = this
    this.metadata = undefined
    this.check = undefined
    if (metadata !== undefined && check !== undefined) this.context = orNothing(() => contextOf(metadata, check))
  }

  end(): void {}
}

/** Envoy's own span, in the metadata of its call, is nearer than what its client sent. */
function contextOf(metadata: TraceMetadata, check: CheckView): TraceContext | undefined {
  const parents = textsOf(metadata, 'traceparent')
  const sent = parents.length === 0 ? undefined : readTraceContext(parents, textsOf(metadata, 'tracestate'))
  if (sent !== undefined) return sent
  const parent = check.header('traceparent')
  if (parent === undefined) return undefined
  const state = check.header('tracestate')
  return readTraceContext([parent], state === undefined ? [] : [state])
}

function textsOf(metadata: TraceMetadata, name: string): readonly string[] {
  return metadata.get(name).filter((value) => typeof value === 'string')
}

/** Names: OpenTelemetry's semantic conventions for RPC and HTTP; what they have no name for begins with `microgw.`. */
function createSpans({
  trace,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
}: Api): Tracing {
  const tracer = trace.getTracer('micro-gw-authz', VERSION)

  const begin = (metadata: TraceMetadata, check: CheckView): BegunTrace => {
    const caller = contextOf(metadata, check)
    const parent =
      caller === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, {
            traceId: caller.traceId,
            spanId: caller.spanId,
            traceFlags: caller.flags,
            isRemote: true,
            ...(caller.state === undefined ? {} : { traceState: createTraceState(caller.state) }),
          })
    const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': METHOD }
    const span = tracer.startSpan(METHOD, { kind: SpanKind.SERVER, attributes }, parent)
    const inside = trace.setSpan(ROOT_CONTEXT, span)

    return {
      call: (url) => orNothing(() => call(url)),
      wait() {},
      end(outcome, { reason, cache }, decisionId) {
        orNothing(() => {
          span.setAttributes({
            // Every Check is answered with gRPC status 0.
            'rpc.response.status_code': 'OK',
            'microgw.decision': outcome,
            'microgw.reason': reason,
            'microgw.cache': cache,
            'microgw.decision_id': decisionId,
          })
          if (isFailure(reason)) {
            span.setAttribute('error.type', reason)
            span.setStatus({ code: SpanStatusCode.ERROR })
          }
          span.end()
        })
      },
    }

    function call(url: string): TracedCall | undefined {
      const { protocol, hostname, port, origin, pathname } = new URL(url)
      const attributes = {
        'http.request.method': 'POST',
        'server.address': hostname,
        'server.port': Number(port === '' ? (protocol === 'https:' ? 443 : 80) : port),
        'url.full': origin + pathname,
      }
      const client = tracer.startSpan('POST', { kind: SpanKind.CLIENT, attributes }, inside)
      const context = client.spanContext()
      const end = (outcome: number | string): void => {
        if (typeof outcome === 'number') client.setAttribute('http.response.status_code', outcome)
        if (typeof outcome === 'string' || outcome >= 400) {
          client.setAttribute('error.type', String(outcome))
          client.setStatus({ code: SpanStatusCode.ERROR })
        }
        client.end()
      }
      const headers = isSpanContextValid(context)
        ? writeTraceContext({
            ...context,
            flags: context.traceFlags,
            state: context.traceState?.serialize() || undefined,
          })
        : {}
      return { headers, end: (outcome) => orNothing(() => end(outcome)) }
    }
  }

  return { begin: (metadata, check) => orNothing(() => begin(metadata, check)) ?? new PassedOn(metadata, check) }
}

/** The answers that are a failure of ours or of the key manager's; any other deny is the product at work. */
function isFailure(reason: Decision['reason']): boolean {
  return reason === 'key_manager_unavailable' || reason === 'overloaded' || reason === 'internal_error'
}

/** An SDK is the user's code, processors and exporters included. */
function orNothing<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}
