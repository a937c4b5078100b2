/** A real django-oauth-toolkit as a process of its own: it issues tokens, refreshes them with rotation, and introspects. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Context } from 'mocha'
import { provideDjango } from '../../scripts/django.ts'

/** A client of the server and its secret, which a server that form-decodes it must get encoded. */
export interface DjangoClient {
  readonly id: string
  readonly secret: string
}

/** One request to the token or the introspection endpoint. Tokens stand as digests: equal ones are the same token. */
export interface DjangoRequest {
  readonly endpoint: 'token' | 'introspect'
  readonly status: number
  /** Its id, where the request named one: a bearer token does not. */
  readonly client: string | null
  /** `grant_type` at the token endpoint. */
  readonly grant: string | null
  readonly authentication: 'basic' | 'bearer' | 'post' | 'none'
  readonly bearer: string | null
  readonly refreshToken: string | null
  /** What was to be introspected. */
  readonly token: string | null
}

/** How often, by grant and by status: `token.password`, `introspect.200`; what did not happen is absent. */
export type DjangoCounts = Readonly<Record<string, number>>

export interface Django {
  readonly url: string
  readonly tokenUrl: string
  /** With the trailing slash that this server wants. */
  readonly introspectUrl: string
  /** For the sidecar's own token by client credentials. */
  readonly clientCredentials: DjangoClient
  /** For the sidecar's own token by password and refresh. */
  readonly password: DjangoClient & { readonly username: string; readonly password: string }
  /** An access token of the end user alice, who came through the client `shop`. */
  userToken(scope?: string): Promise<string>
  /** Asks the token endpoint by HTTP Basic, encoded as RFC 6749 section 2.3.1 says. */
  requestToken(client: DjangoClient, form: Readonly<Record<string, string>>): Promise<Response>
  /** Every access token of this client is dead from now on; its refresh tokens stay good. */
  expire(client: DjangoClient): Promise<void>
  /** Every refresh token of this client is dead from now on; its access tokens stay good. */
  revokeRefreshTokens(client: DjangoClient): Promise<void>
  /** From now on token requests take effect, but their answers wait. Resolves to what lets them go. */
  holdTokenAnswers(): Promise<() => Promise<void>>
  /** Oldest first; those of `userToken` are left out. */
  requests(): Promise<readonly DjangoRequest[]>
  counts(): Promise<DjangoCounts>
  /** Resolves once the process is gone and its files are removed. */
  close(): Promise<void>
}

export interface DjangoOptions {
  /** Of access tokens of the sidecar's two clients. */
  readonly ownLifeSeconds?: number
  /** Of access tokens of end users. */
  readonly userLifeSeconds?: number
}

const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 5_000

const SERVER = fileURLToPath(new URL('./django/server.py', import.meta.url))

// Form-decoding a raw one of these gives another text.
const CLIENT_CREDENTIALS: DjangoClient = { id: 'gateway', secret: 's3cr3t/+=%&:of-the-gateway' }
const PASSWORD = {
  id: 'gateway-user',
  secret: 's3cr3t/+=%&:of-the-other',
  username: 'svc@example.com',
  password: 'p@ss w0rd/+=%&:',
}
const SHOP: DjangoClient = { id: 'shop', secret: 'shop-secret' }
const ALICE = { username: 'alice', password: 'alice-password' }

/** The interpreter; without one the suite is skipped with a reason, and fails under CI=true. */
export function djangoOrSkip(context: Context): string {
  const provided = provideDjango()
  if (provided.kind === 'python') return provided.file
  if (process.env['CI'] === 'true') throw new Error(provided.reason)
  process.emitWarning(`skipped: ${provided.reason}`)
  return context.skip()
}

/** Starts it on a free port with a database of its own; rejects with what it printed. */
export async function startDjango(python: string, options: DjangoOptions = {}): Promise<Django> {
  const plan = {
    ownLife: options.ownLifeSeconds ?? 60,
    userLife: options.userLifeSeconds ?? 600,
    users: { [ALICE.username]: ALICE.password, [PASSWORD.username]: PASSWORD.password },
    clients: [
      { id: CLIENT_CREDENTIALS.id, secret: CLIENT_CREDENTIALS.secret, grant: 'client-credentials', own: true },
      { id: PASSWORD.id, secret: PASSWORD.secret, grant: 'password', own: true },
      { ...SHOP, grant: 'password', own: false },
    ],
  }
  const server = await startProcess(python, plan)
  const { url } = server
  const requestToken = (client: DjangoClient, form: Readonly<Record<string, string>>): Promise<Response> =>
    post(`${url}/o/token/`, form, basic(client))
  const requests = async (): Promise<readonly DjangoRequest[]> => {
    const answer = await fetch(`${url}/_requests`)
    const all: DjangoRequest[] = Object(await answer.json()).requests
    return all.filter(({ client }) => client !== SHOP.id)
  }
  const command = async (path: string, form: Readonly<Record<string, string>>): Promise<void> => {
    const answer = await post(`${url}/${path}`, form)
    if (answer.status !== 204) throw new Error(`django-oauth-toolkit does not know ${path}: ${answer.status}`)
  }
  return {
    url,
    tokenUrl: `${url}/o/token/`,
    introspectUrl: `${url}/o/introspect/`,
    clientCredentials: CLIENT_CREDENTIALS,
    password: PASSWORD,
    async userToken(scope = 'orders:read') {
      const answer = await requestToken(SHOP, { grant_type: 'password', ...ALICE, scope })
      const token: unknown = Object(await answer.json()).access_token
      if (typeof token !== 'string') throw new Error(`django-oauth-toolkit gave no user token: ${answer.status}`)
      return token
    },
    requestToken,
    expire: ({ id }) => command('_expire', { client_id: id }),
    revokeRefreshTokens: ({ id }) => command('_revoke_refresh_tokens', { client_id: id }),
    async holdTokenAnswers() {
      await command('_hold_token_answers', { hold: 'true' })
      return () => command('_hold_token_answers', { hold: 'false' })
    },
    requests,
    async counts() {
      const counts: Record<string, number> = {}
      for (const { endpoint, grant, status } of await requests()) {
        const name = endpoint === 'token' ? `token.${grant}` : `introspect.${status}`
        counts[name] = (counts[name] ?? 0) + 1
      }
      return counts
    },
    close: server.stop,
  }
}

/** The process and where it listens. It ends when its standard input does, however this process ends. */
async function startProcess(python: string, plan: object): Promise<{ url: string; stop(): Promise<void> }> {
  const child = spawn(python, [SERVER], { stdio: ['pipe', 'pipe', 'pipe'] })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    // A file that cannot be run never exits.
    child.once('error', () => resolve())
  })
  const output: string[] = []
  child.stderr.on('data', (chunk: Buffer) => void output.push(chunk.toString()))
  // A process that is gone takes no input: its exit is what counts.
  child.stdin.on('error', () => undefined)
  const stop = async (): Promise<void> => {
    child.stdin.end()
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await exited
    clearTimeout(timer)
  }
  child.stdin.write(`${JSON.stringify(plan)}\n`)
  const lines = createInterface({ input: child.stdout })
  const listening = new Promise<string | undefined>((resolve) => {
    lines.on('line', (line) => {
      const [, url] = /^listening (\S+)$/.exec(line) ?? []
      if (url === undefined) output.push(`${line}\n`)
      else resolve(url)
    })
    exited.then(() => resolve(undefined))
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS)
  const url = await listening
  clearTimeout(timer)
  if (url === undefined) throw new Error(`django-oauth-toolkit did not start:\n${output.join('')}`)
  return { url, stop }
}

/** RFC 6749 section 2.3.1: this server decodes what it gets. */
function basic({ id, secret }: DjangoClient): Record<string, string> {
  const encode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)
  return { authorization: `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}` }
}

/** A form, sent. */
export function post(
  url: string,
  form: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(url, { method: 'POST', headers, body: new URLSearchParams(form), redirect: 'manual' })
}
