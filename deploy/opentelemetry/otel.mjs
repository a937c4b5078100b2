// Spans of micro-gw-authz over OTLP. Loaded before it: NODE_OPTIONS="--import file:///otel/otel.mjs".
// It finds its packages in a node_modules beside it: docs/tracing.md has the two commands.
// The collector: OTEL_EXPORTER_OTLP_ENDPOINT (default http://localhost:4318). The share of traces begun here:
// OTEL_TRACES_SAMPLER=parentbased_traceidratio and OTEL_TRACES_SAMPLER_ARG=0.01.
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

const name = resourceFromAttributes({ 'service.name': process.env.OTEL_SERVICE_NAME ?? 'micro-gw-authz' })

new NodeTracerProvider({
  resource: defaultResource().merge(name),
  // Sent each second: what was not sent when the process ends is lost.
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(), { scheduledDelayMillis: 1_000 })],
}).register()
