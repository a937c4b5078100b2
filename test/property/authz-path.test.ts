import { expect } from 'chai'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { normalisePath } from '../../src/authz/path.ts'

/** A server that reads a raw path its own way: the names it walks, parameters aside; undefined: it refuses the path. */
type Reader = (path: string) => readonly string[] | undefined

const beforeQuery = (path: string): string => path.replace(/\?.*/s, '')
const withoutParameters = (path: string): string => path.replace(/;[^/]*/g, '')
const slashesMerged = (path: string): string => path.replace(/\/+/g, '/')
const isDots = (segment: string, dots: string): boolean => segment.replaceAll(/%2e/gi, '.') === dots

/** RFC 3986 section 5.2.4: `..` takes the segment before it, an empty one too; `%2e` is a dot (section 6.2.2.2). */
function dotsResolved(path: string): string {
  const out: string[] = []
  for (const segment of path.split('/').slice(1)) {
    if (isDots(segment, '..')) out.pop()
    else if (!isDots(segment, '.')) out.push(segment)
  }
  return `/${out.join('/')}`
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** Leaves what is no escape. */
const laxDecoded = (text: string): string => text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => decoded(run) ?? run)

/** Overlong UTF-8 taken for what it spells, as decoders did before RFC 3629. */
const overlongDecoded = (path: string): string =>
  path.replace(/%c0%([ab][0-9a-f])/gi, (_, low) => String.fromCharCode(Number.parseInt(low, 16) - 0x80))

/** What is left to compare, however a reader came by it. */
function names(path: string | undefined): readonly string[] | undefined {
  return path
    ?.split('/')
    .map((segment) => segment.replace(/;.*/s, ''))
    .filter((segment) => segment !== '')
}

const afterDecoding =
  (read: (text: string) => string): Reader =>
  (path) => {
    const text = decoded(path)
    return text === undefined ? undefined : names(read(text))
  }

const READERS: Readonly<Record<string, Reader>> = {
  'RFC 3986: dots, then decodes': (path) => names(decoded(dotsResolved(beforeQuery(path)))),
  'Envoy with merge_slashes before the dots': (path) => names(decoded(dotsResolved(slashesMerged(beforeQuery(path))))),
  'Envoy with merge_slashes behind the dots': (path) => names(decoded(slashesMerged(dotsResolved(beforeQuery(path))))),
  'Tomcat: parameters, decodes, slashes, dots': (path) => {
    const text = decoded(withoutParameters(beforeQuery(path)))
    return text === undefined ? undefined : names(dotsResolved(slashesMerged(text)))
  },
  'parameters cut, slashes kept': (path) => names(decoded(dotsResolved(withoutParameters(beforeQuery(path))))),
  'decodes first, then finds the query': afterDecoding((text) => dotsResolved(beforeQuery(text).replace(/#.*/s, ''))),
  'decodes first, then cuts parameters': afterDecoding((text) => dotsResolved(withoutParameters(beforeQuery(text)))),
  'decodes twice': (path) => {
    const once = decoded(beforeQuery(path))
    return once === undefined ? undefined : names(dotsResolved(withoutParameters(beforeQuery(laxDecoded(once)))))
  },
  'a backslash is a slash': afterDecoding((text) => dotsResolved(beforeQuery(text).replaceAll('\\', '/'))),
  'ends at NUL': afterDecoding((text) => dotsResolved(beforeQuery(text).replace(/\0.*/s, ''))),
  'trims the spaces of dot segments': afterDecoding((text) =>
    dotsResolved(beforeQuery(text).replace(/(^|\/)(\.\.?) +(?=\/|$)/g, '$1$2')),
  ),
  'cuts parameters, then trims the spaces of dot segments': afterDecoding((text) =>
    dotsResolved(withoutParameters(beforeQuery(text)).replace(/(^|\/)(\.\.?) +(?=\/|$)/g, '$1$2')),
  ),
  'overlong UTF-8': (path) => names(decoded(dotsResolved(overlongDecoded(beforeQuery(path))))),
  'cuts controls from the end, as the WHATWG URL parser does': afterDecoding((text) =>
    dotsResolved(beforeQuery(text).replace(/\p{Cc}+$/u, '')),
  ),
  'WHATWG URL': (path) => names(laxDecoded(new URL(`http://host${path}?`).pathname)),
  'WHATWG URL of the decoded path': afterDecoding((text) => laxDecoded(new URL(`http://host${text}?`).pathname)),
}

const piece = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('/', '/..', '/../', '/.', '//', ';', ';x=', 'orders', 'pub') },
  fc.constantFrom('a', '%61', '%2e', '%2E%2e', '.', '..', '%20', ' ', '%20/', 'é', '%C3%A9', '%c0%ae', '%c0%af', '%ff'),
  fc.constantFrom(
    '%2f',
    '%2F',
    '%5c',
    '\\',
    '%3b',
    '%3f',
    '%23',
    '?',
    '#',
    '%00',
    '\0',
    '%09',
    '%0a',
    '%0D',
    '%0b',
    '%7F',
  ),
  fc.constantFrom('%', '%25', '%252e', '%252f', '%253b', '%253F', '%2523', '%2541', '%252B', '%2500', '%c3'),
)

describe('paths, by chance', () => {
  it('whatever has a normal form is read alike by every server', () => {
    let read = 0
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (parts) => {
        const path = `/${parts.join('')}`
        const normal = normalisePath(path)
        if (normal === undefined) return
        read += 1
        // Once more changes nothing: else somebody behind us could.
        const again = normal.replaceAll('%', '%25')
        expect(normalisePath(again), JSON.stringify(path)).to.equal(normal)
        for (const [reader, walk] of Object.entries(READERS)) {
          const walked = walk(path)
          if (walked !== undefined) expect(walked, `${reader}: ${JSON.stringify(path)}`).to.deep.equal(names(normal))
        }
      }),
      { numRuns: 20_000 },
    )
    expect(read, 'paths with a normal form').to.be.greaterThan(1000)
  })

  it('what every server reads alike has a normal form: nothing is refused without need', () => {
    const plain = fc.constantFrom('/', '/a', '/..', '/.', ';v=1', '%61', '%20b', 'é', '%C3%A9', '.', '/%2e%2e', '%')
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 10 }), (parts) => {
        const path = `/${parts.join('')}`
        const readings = Object.values(READERS).map((walk) => JSON.stringify(walk(path)))
        // Parameters of a dot segment make it one to some servers only, even where the next `..` hides it.
        if (new Set(readings).size > 1 || /(?:\.|%2e);/.test(path)) return
        expect(normalisePath(path), JSON.stringify(path)).to.be.a('string')
      }),
      { numRuns: 5000 },
    )
  })
})
