/** The DevTools protocol of a child started with `--inspect=127.0.0.1:PORT`: profiles, heap sizes, forced collections. */

export interface Inspector {
  /** Resolves with the protocol's result; rejects with its error, and where the child ends first. */
  call(method: string, params?: object): Promise<unknown>
  close(): void
}

export async function connectInspector(port: number): Promise<Inspector> {
  const targets: unknown = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()
  const [target] = Array.isArray(targets) ? targets : []
  const socket = new WebSocket(String(Object(target).webSocketDebuggerUrl))
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve())
    socket.addEventListener('error', () => reject(new Error('no inspector')))
  })
  const pending = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  let id = 0
  socket.addEventListener('message', ({ data }) => {
    const message: unknown = JSON.parse(String(data))
    const { id: answered, result, error } = Object(message)
    const call = pending.get(Number(answered))
    pending.delete(Number(answered))
    if (error === undefined) call?.resolve(result)
    else call?.reject(new Error(String(Object(error).message)))
  })
  socket.addEventListener('close', () => {
    for (const call of pending.values()) call.reject(new Error('the inspected process has ended'))
    pending.clear()
  })
  return {
    call(method, params = {}) {
      if (socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error('the inspected process has ended'))
      id += 1
      socket.send(JSON.stringify({ id, method, params }))
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      pending.set(id, { resolve, reject })
      return promise
    },
    close: () => socket.close(),
  }
}
