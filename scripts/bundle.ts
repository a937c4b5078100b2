/**
 * Builds `dist/`: `cli.js`, a chunk for each command and what commands share, so that `serve` opens 30 files where it
 * opened 400. Nothing is minified: above each module stands the path of its source, and functions keep their names.
 * What is rare stays a package and is loaded when asked for; the rest is copied in, with its licences beside it.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Metafile, type Plugin } from 'esbuild'

const ROOT = fileURLToPath(new URL('../', import.meta.url))

/** The API must be the one that the operator's OpenTelemetry SDK loads; the others are rare, and large. */
export const LEFT_OUT: readonly string[] = ['@opentelemetry/api', '@grpc/proto-loader', 'got', 'jose']

/** Copied in from the exact versions that package.json names, so that what is installed beside tells what runs. */
export const LICENCES = 'THIRD-PARTY-LICENCES.txt'

/** Replaces `folder` by a build. Rejects where a source does not compile; types are `tsc`'s concern. */
export async function bundle(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/cli.ts'],
    outdir: folder,
    // One step below: what looks for package.json, proto/ and cli.js finds them from here as from src/*/.
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external: [...LEFT_OUT],
    banner: { js: REQUIRE },
    plugins: [builtins, undiciParts, lateTracing],
    metafile: true,
    logLevel: 'warning',
  })
  writeFileSync(join(folder, LICENCES), licencesOf(metafile))
}

/** CommonJS packages call `require` for what is left out and for Node's modules. */
const REQUIRE =
  "import { createRequire as createRequireHere } from 'node:module'; const require = createRequireHere(import.meta.url);"

/**
 * Node's modules without their ES module faces: making that of `node:http` reads every member, `http.WebSocket` too, for
 * which Node compiles its own undici (30 ms). A member behind a getter cannot be imported: the build fails there.
 */
const builtins: Plugin = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[\w:/]+$/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path)
        ? { path: path.replace(/^node:/, ''), namespace: 'builtin', sideEffects: false }
        : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => {
      const members = Object.entries(Object.getOwnPropertyDescriptors(process.getBuiltinModule(path) ?? {}))
      const exported = members
        .filter(([name, member]) => 'value' in member && name !== 'default' && /^[A-Za-z_$][\w$]*$/.test(name))
        .map(([name]) => `const a_${name} = /* @__PURE__ */ (() => all.${name})(); export { a_${name} as ${name} }`)
      return {
        contents: [
          `const all = /* @__PURE__ */ process.getBuiltinModule('node:${path}')`,
          'export default all',
          ...exported,
        ].join('\n'),
      }
    })
  },
}

/**
 * undici's index loads its fetch, WebSocket, mocks and caches. It also gives dispatchers the methods of its API, which
 * `ProxyAgent` calls, and makes itself what Node's own `fetch` uses, which nothing here needs.
 */
const undiciParts: Plugin = {
  name: 'undici-parts',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^undici$/ }, ({ path }) => ({ path, namespace: 'undici-parts' }))
    onLoad({ filter: /.*/, namespace: 'undici-parts' }, () => ({
      resolveDir: ROOT,
      contents: `
        import api from 'undici/lib/api/index.js'
        import Dispatcher from 'undici/lib/dispatcher/dispatcher.js'
        export { default as Client } from 'undici/lib/dispatcher/client.js'
        export { default as Pool } from 'undici/lib/dispatcher/pool.js'
        export { default as ProxyAgent } from 'undici/lib/dispatcher/proxy-agent.js'
        Object.assign(Dispatcher.prototype, api)`,
    }))
  },
}

/** prom-client loads the OpenTelemetry API (10 ms) for exemplars, which are off. */
const lateTracing: Plugin = {
  name: 'late-tracing',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@opentelemetry\/api$/ }, ({ path, importer }) =>
      /[\\/]node_modules[\\/]prom-client[\\/]/.test(importer) ? { path, namespace: 'late-tracing' } : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'late-tracing' }, ({ path }) => ({
      contents: ['trace', 'context', 'isSpanContextValid']
        .map((name) => `Object.defineProperty(exports, '${name}', { get: () => require('${path}').${name} })`)
        .join('\n'),
    }))
  },
}

/** Name, version and licence texts of every package a part of which is in the build. */
function licencesOf({ outputs }: Metafile): string {
  const inputs = Object.values(outputs).flatMap((output) => Object.keys(output.inputs))
  const folders = inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [])
  return [...new Set(folders)].toSorted().map(licenceOf).join('\n\n')
}

function licenceOf(folder: string): string {
  const path = join(ROOT, folder)
  const { name, version, license }: Readonly<Record<string, string>> = JSON.parse(
    readFileSync(join(path, 'package.json'), 'utf8'),
  )
  const texts = readdirSync(path)
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .map((file) => readFileSync(join(path, file), 'utf8').trim())
  return [`== ${name}@${version} (${license})`, ...texts].join('\n\n')
}

if (import.meta.main) await bundle(process.argv[2] ?? join(ROOT, 'dist'))
