/** One of several processes that answer Checks: everything it knows comes from the primary, and it ends with it. */
import type { Socket } from 'node:net'
import { type CheckService, createCheckService } from '../check-service.ts'
import { systemClock } from '../clock.ts'
import type { GivenToWorker } from '../graph.ts'
import type { Untaken } from '../keymanager/own-token.ts'
import { watchFailures } from '../server/lifecycle.ts'
import { createLog } from '../telemetry/log.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import type { Answers, PassedToken, ToPrimary, ToWorker } from './messages.ts'
import { createRemoteOwnToken, type RemoteOwnToken } from './remote-own-token.ts'
import { type Setup, unpackSetup } from './setup.ts'

/** What of `process` is used: its channel to the primary. */
export interface Channel {
  on(event: 'message', heard: (message: unknown, handle: unknown) => void): unknown
  on(event: 'disconnect', gone: () => void): unknown
  send(message: object): unknown
}

/** Resolves with the exit status when the process should end. */
export function startWorker(
  number: number,
  channel: Channel,
  writeLog: (line: string) => void,
  logLinesLost: () => number,
): Promise<number> {
  const clock = systemClock
  const log = createLog({ level: 'info', write: writeLog, clock, fields: { worker: number } })
  const metrics = createMetrics()
  metrics.logLinesLost(logLinesLost)
  const { promise: ended, resolve: end } = Promise.withResolvers<number>()
  const startedAt = new Date(clock.wallMs()).toISOString()
  const questions = new Map<number, (answer: PassedToken | Untaken) => void>()
  let lastQuestion = 0
  let ownToken: { readonly source: number; readonly remote: RemoteOwnToken } | undefined
  let service: CheckService | undefined
  let receivers: readonly ((connection: Socket) => void)[] = []
  let configLoadedAt = startedAt

  // Nobody is left to hear what cannot be said: 'disconnect' ends this process.
  const say = (message: ToPrimary): void => void channel.send(message)

  watchFailures(log, () => end(1))
  // At once: the connections it holds would otherwise be served by a process that nobody reloads, drains or counts.
  channel.on('disconnect', () => end(0))
  channel.on('message', (message, handle) => {
    // Its own program sent it, over a channel nobody else holds.
    hear(message as ToWorker, handle as Socket | undefined)
  })
  say({ kind: 'hello' })
  return ended

  function hear(message: ToWorker, connection: Socket | undefined): void {
    switch (message.kind) {
      case 'setup':
        putInForce(unpackSetup(message.setup))
        return
      case 'connection':
        if (connection === undefined) return
        // Said first: a connection of which it was not said is another worker's from its first byte on.
        say({ kind: 'received', id: message.id })
        receive(connection, message.listener)
        return
      case 'own_token':
        if (ownToken?.source === message.source) ownToken.remote.hand(message.token)
        return
      case 'own_token_answer':
        questions.get(message.id)?.(message.answer)
        questions.delete(message.id)
        return
      case 'ask':
        if (service !== undefined) void reply(service, message)
        return
      case 'beat':
        say(message)
        return
      case 'not_serving':
        service?.health.setServing(false)
        return
      case 'drain':
        void finish((running) => running.server.drain(message.timeoutMs))
        return
      case 'stop':
        void finish((running) => running.server.stop())
        return
      default:
        message satisfies never
    }
  }

  function putInForce(setup: Setup): void {
    try {
      const given = givenBy(setup)
      if (service === undefined) {
        log.setLevel(setup.config.log.level)
        const { decisionIdPrefix } = setup
        service = createCheckService(setup.config, { clock, metrics, log, given, decisionIdPrefix })
        const { server } = service
        receivers = setup.listen.map((listen) => server.receive(listen, setup.serverTls))
      } else service.swap(setup.config, setup.serverTls, given)
      service.health.setServing(setup.isServing)
      configLoadedAt = new Date(clock.wallMs()).toISOString()
      say({ kind: 'ready', generation: setup.generation })
    } catch (thrown) {
      log.error('worker_setup_refused', { error: thrown instanceof Error ? thrown.name : typeof thrown })
      say({ kind: 'refused', generation: setup.generation })
    }
  }

  function givenBy({ ownToken: given, keyManagerTls: tls, clientIdentity }: Setup): GivenToWorker {
    if (given === undefined) ownToken = undefined
    else if (ownToken?.source === given.source) ownToken.remote.hand(given.token)
    else {
      const ask = (refused: number | undefined) => askForToken(given.source, refused)
      ownToken = { source: given.source, remote: createRemoteOwnToken({ clock, token: given.token, ask }) }
    }
    return { tls, clientIdentity, ownToken: ownToken?.remote }
  }

  function askForToken(source: number, refused: number | undefined): Promise<PassedToken | Untaken> {
    return new Promise((resolve) => {
      lastQuestion += 1
      questions.set(lastQuestion, resolve)
      say({ kind: 'own_token_ask', id: lastQuestion, source, refused })
    })
  }

  function receive(connection: Socket, listener: number): void {
    connection.once('close', () => say({ kind: 'closed' }))
    const take = receivers[listener]
    if (take === undefined) connection.destroy()
    else take(connection)
  }

  async function reply(running: CheckService, { id, what, detail }: Extract<ToWorker, { kind: 'ask' }>): Promise<void> {
    const answer = await answerTo(running, what, detail)
    say({ kind: 'answer', id, answer })
  }

  function answerTo(
    running: CheckService,
    what: keyof Answers,
    detail: string,
  ): Answers[keyof Answers] | Promise<Answers['metrics']> {
    switch (what) {
      case 'metrics':
        return metrics.snapshot()
      case 'status':
        return running.status({ ready: true, startedAt, configLoadedAt, restartRequired: false })
      case 'decisions':
        return running.decisions.recent()
      case 'decision':
        return running.decisions.find(detail)
      default:
        return what satisfies never
    }
  }

  async function finish(close: (running: CheckService) => Promise<void>): Promise<void> {
    if (service !== undefined) {
      await close(service)
      service.close()
    }
    end(0)
  }
}
