/** A real Chromium without a window, driven over its DevTools protocol: what a person would see of a page, and what it did. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Page {
  /** Resolves when the page and all it asks for are loaded. */
  open(url: string): Promise<void>
  /** The value of an expression, which may be a promise; JSON. Runs beside the page's own rules on scripts. */
  evaluate(expression: string): Promise<unknown>
  /** Presses the mouse in the middle of the first element that fits, and waits for the page it leads to. */
  follow(selector: string): Promise<void>
  /** CSS pixels. */
  resize(width: number, height: number): Promise<void>
  prefer(scheme: 'light' | 'dark'): Promise<void>
  /** PNG; `height` in CSS pixels from the top. */
  screenshot(width: number, height: number): Promise<Buffer>
  /** What the page wrote on the console, and everything the browser found wrong with it, refusals of its policy included. */
  readonly complaints: readonly string[]
  /** Every address asked for, the page's own included. */
  readonly requests: readonly string[]
}

export interface Chromium {
  newPage(): Promise<Page>
  close(): Promise<void>
}

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--hide-scrollbars',
  '--disable-lcd-text',
  '--remote-debugging-port=0',
]
const START_MS = 60_000

/** `program`: its path. It has a profile of its own, which is gone when it is closed. */
export async function startChromium(program: string): Promise<Chromium> {
  const profile = mkdtempSync(join(tmpdir(), 'micro-gw-chromium-'))
  const child = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    // Its own children may still be writing for a moment.
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
  try {
    const protocol = await connect(await addressOf(child))
    return {
      newPage: () => openPage(protocol),
      async close() {
        protocol.close()
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** It says so on standard error, once it listens. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const timer = setTimeout(() => reject(new Error(`Chromium did not start in time: ${said.slice(-500)}`)), START_MS)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const address = /DevTools listening on (ws:\S+)/.exec(said)?.[1]
      if (address === undefined) return
      clearTimeout(timer)
      resolve(address)
    })
    child.once('exit', () => {
      clearTimeout(timer)
      reject(new Error(`Chromium ended: ${said.slice(-500)}`))
    })
  })
}

type Fields = Readonly<Record<string, unknown>>

interface Protocol {
  send(method: string, fields?: Fields, session?: string): Promise<Fields>
  on(session: string, listener: (method: string, fields: Fields) => void): void
  close(): void
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Fields
  readonly result?: Fields
  readonly error?: { readonly message: string }
  readonly sessionId?: string
}

async function connect(address: string): Promise<Protocol> {
  const socket = new WebSocket(address)
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true })
    socket.addEventListener('error', () => reject(new Error('Chromium cannot be driven')), { once: true })
  })
  const waiting = new Map<number, { resolve: (result: Fields) => void; reject: (error: Error) => void }>()
  const listeners = new Map<string, (method: string, fields: Fields) => void>()
  let lastId = 0
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message
    if (message.id === undefined) {
      listeners.get(message.sessionId ?? '')?.(message.method ?? '', message.params ?? {})
      return
    }
    const call = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error === undefined) call?.resolve(message.result ?? {})
    else call?.reject(new Error(message.error.message))
  })
  return {
    send(method, fields = {}, session) {
      lastId += 1
      const id = lastId
      const { promise, resolve, reject } = Promise.withResolvers<Fields>()
      waiting.set(id, { resolve, reject })
      socket.send(
        JSON.stringify({ id, method, params: fields, ...(session === undefined ? {} : { sessionId: session }) }),
      )
      return promise
    },
    on: (session, listener) => void listeners.set(session, listener),
    close: () => socket.close(),
  }
}

async function openPage(protocol: Protocol): Promise<Page> {
  const { targetId } = await protocol.send('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await protocol.send('Target.attachToTarget', { targetId, flatten: true })
  const session = String(sessionId)
  const send = (method: string, fields?: Fields): Promise<Fields> => protocol.send(method, fields, session)
  const complaints: string[] = []
  const requests: string[] = []
  let whenLoaded: (() => void) | undefined
  protocol.on(session, (method, fields) => {
    if (method === 'Page.loadEventFired') whenLoaded?.()
    else if (method === 'Network.requestWillBeSent') requests.push(String((fields['request'] as Fields)['url']))
    // Console calls, uncaught exceptions, entries of the browser's own log, and its list of issues.
    else if (/^(?:Runtime\.(?:consoleAPICalled|exceptionThrown)|Log\.entryAdded|Audits\.issueAdded)$/.test(method))
      complaints.push(`${method} ${JSON.stringify(fields)}`)
  })
  for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'Audits']) await send(`${domain}.enable`)

  const loaded = (): Promise<void> =>
    new Promise((resolve) => {
      whenLoaded = resolve
    })
  const evaluate = async (expression: string): Promise<unknown> => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`)
    return (result as Fields)['value']
  }

  return {
    complaints,
    requests,
    evaluate,
    async open(url) {
      const done = loaded()
      const { errorText } = await send('Page.navigate', { url })
      if (errorText !== undefined) throw new Error(`${url}: ${String(errorText)}`)
      await done
    },
    async follow(selector) {
      const at = `(() => { const one = document.querySelector(${JSON.stringify(selector)}); one.scrollIntoView({block: 'center'});
        const { left, top, width, height } = one.getClientRects()[0]; return [left + width / 2, top + height / 2] })()`
      const [x, y] = (await evaluate(at)) as [number, number]
      const done = loaded()
      const press = { x, y, button: 'left', clickCount: 1 }
      await send('Input.dispatchMouseEvent', { ...press, type: 'mousePressed' })
      await send('Input.dispatchMouseEvent', { ...press, type: 'mouseReleased' })
      await done
    },
    async resize(width, height) {
      await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 })
    },
    async prefer(scheme) {
      await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
    },
    async screenshot(width, height) {
      const clip = { x: 0, y: 0, width, height, scale: 1 }
      const { data } = await send('Page.captureScreenshot', { format: 'png', clip, captureBeyondViewport: true })
      return Buffer.from(String(data), 'base64')
    },
  }
}
