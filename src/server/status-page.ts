/** The status page at `/` of the local admin listener: self-contained, no script, everything escaped. */
import type { RecentDeny } from '../telemetry/decision-log.ts'

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}

const STYLE = `body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.3rem}h2{font-size:1.05rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .7rem .25rem 0;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}
code{font-size:.95em}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}a{color:#8bf}}`

/** `status` is shown as it is: it must hold no secrets. */
export function renderStatusPage(version: string, status: object, denies: readonly RecentDeny[]): string {
  const facts = flatten(status)
    .map(([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`)
    .join('\n')
  const rows = denies
    .slice(0, 50)
    .map((deny) => {
      const id = escapeHtml(deny.decision_id)
      const cells = [deny.reason, deny.method, deny.host, deny.path, deny.detail ?? '']
      const link = `<td><a href="/decisions/${id}"><code>${id}</code></a></td>`
      return `<tr><td>${escapeHtml(deny.time)}</td>${link}${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`
    })
    .join('\n')
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>micro-gw-authz</title><style>${STYLE}</style></head><body>
<h1>micro-gw-authz ${escapeHtml(version)}</h1>
<table>${facts}</table>
<h2>Last denies</h2>
${rows === '' ? '<p>None yet.</p>' : `<table><thead><tr><th>time</th><th>decision</th><th>reason</th><th>method</th><th>host</th><th>path</th><th>detail</th></tr></thead><tbody>${rows}</tbody></table>`}
<p><a href="/status">/status</a> <a href="/config">/config</a> <a href="/decisions">/decisions</a></p>
</body></html>
`
}

function flatten(value: object, prefix = ''): [string, string][] {
  return Object.entries(value).flatMap(([name, member]): [string, string][] => {
    const path = prefix === '' ? name : `${prefix}.${name}`
    if (typeof member === 'object' && member !== null && !Array.isArray(member)) return flatten(member, path)
    return member === undefined ? [] : [[path, typeof member === 'string' ? member : JSON.stringify(member)]]
  })
}
