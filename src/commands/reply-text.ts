/** A CheckResponse in words. Pure; reads it as Envoy does: code 0 or no status is an allow. */

/** What of a reply is read; every member may be absent or of any kind. */
type Members = Readonly<Partial<Record<Member, unknown>>>
type Member =
  | 'body'
  | 'boolValue'
  | 'code'
  | 'denied_response'
  | 'dynamic_metadata'
  | 'error_response'
  | 'fields'
  | 'header'
  | 'headers'
  | 'headers_to_remove'
  | 'key'
  | 'listValue'
  | 'numberValue'
  | 'ok_response'
  | 'status'
  | 'stringValue'
  | 'structValue'
  | 'value'
  | 'values'

function members(value: unknown): Members {
  return typeof value === 'object' && value !== null ? (value as Members) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** Control characters of a foreign server must not reach the terminal. */
function printable(value: unknown): string {
  return JSON.stringify(String(value)).slice(1, -1)
}

/** @param tookMs the round trip. */
export function describeReply(reply: unknown, tookMs: number): { readonly allowed: boolean; readonly text: string } {
  const response = members(reply)
  const code = Number(members(response.status).code ?? 0)
  const allowed = code === 0
  const lines = [`decision: ${allowed ? 'ALLOW' : 'DENY'} (status.code ${code}, ${tookMs.toFixed(1)} ms)`]
  if (allowed) {
    const ok = members(response.ok_response)
    lines.push(...headerLines('to the upstream:', ok.headers))
    const removed = list(ok.headers_to_remove).map(printable)
    if (removed.length > 0) lines.push(`removed: ${removed.join(', ')}`)
  } else {
    const isError = response.error_response !== undefined
    const denied = members(isError ? response.error_response : response.denied_response)
    lines.push(`status: ${httpStatus(denied)}${isError ? ' (error_response)' : ''}`)
    lines.push(...headerLines('to the client:', denied.headers))
    if (denied.body !== undefined) lines.push(`body: ${printable(denied.body)}`)
  }
  if (response.dynamic_metadata !== undefined) {
    lines.push(`metadata: ${JSON.stringify(readStruct(response.dynamic_metadata), undefined, 2)}`)
  }
  return { allowed, text: `${lines.join('\n')}\n` }
}

/** The loader names the codes Envoy's enum has: `Unauthorized`, `Forbidden`, ... */
function httpStatus(denied: Members): string {
  const code = members(denied.status).code
  return code === undefined ? "403 (Envoy's default)" : printable(code)
}

function headerLines(title: string, options: unknown): string[] {
  const lines = list(options).map((option) => {
    const header = members(members(option).header)
    return `  ${printable(header.key ?? '')}: ${printable(header.value ?? '')}`
  })
  return lines.length === 0 ? [] : [title, ...lines]
}

/** `google.protobuf.Struct` as a plain object. */
export function readStruct(struct: unknown): Record<string, unknown> {
  const fields = Object.entries(members(members(struct).fields))
  return Object.fromEntries(fields.map(([name, value]) => [name, readValue(value)]))
}

function readValue(value: unknown): unknown {
  const kind = members(value)
  if ('structValue' in kind) return readStruct(kind.structValue)
  if ('listValue' in kind) return list(members(kind.listValue).values).map(readValue)
  return kind.stringValue ?? kind.numberValue ?? kind.boolValue ?? null
}
