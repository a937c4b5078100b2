/** The one thing a test may change in a file of `deploy/` before it runs it: where things listen and where files lie. */

/** Ports, host names, addresses and absolute paths; behind a YAML or TOML name (`port_value: 9001`) too. */
const ADDRESS = /^(?:[\w.-]+ ?[:=] ?)?(?:[a-z]+:(?:\/\/)?)?[\w.-]*(?::\d+)?(?:\/[\w./-]*)?$/i

/**
 * Replaces every whole occurrence of each key of `map` by its value, in one pass, longest key first.
 * `9001` is not found in `19001`, nor `example.com` in `api.example.com`; a folder's path is found before its files' names.
 * Throws for a key that is no address or path, and for one that the text does not hold: a test must not run on an address
 * that nobody rewrote.
 */
export function rewrite(text: string, map: Readonly<Record<string, string>>): string {
  const keys = Object.keys(map).sort((a, b) => b.length - a.length)
  if (keys.length === 0) return text
  const odd = keys.filter((key) => !ADDRESS.test(key))
  if (odd.length > 0) throw new Error(`rewrite: only ports, hosts and paths may change, not ${odd.join(', ')}`)
  const unseen = new Set(keys)
  const rewritten = text.replace(new RegExp(keys.map(whole).join('|'), 'g'), (found) => {
    unseen.delete(found)
    return map[found] ?? found
  })
  if (unseen.size > 0) throw new Error(`rewrite: the text does not hold ${[...unseen].join(', ')}`)
  return rewritten
}

function whole(key: string): string {
  const escaped = key.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
  return `(?<![\\w.-])${escaped}(?![\\w-]|\\.\\w)`
}
