/** Where the demo's authorization server keeps its tokens: a map, so that its own development-only one need not warn. */

type Payload = Readonly<Record<string, unknown>>

interface Entry {
  readonly payload: Payload
  readonly expiresAtMs: number
}

/** oidc-provider's adapter contract, for the models that the demo uses (no sessions, no device codes). */
export function createMemoryStorage() {
  const entries = new Map<string, Entry>()
  return (model: string) => {
    const keyOf = (id: string): string => `${model}:${id}`
    const find = async (id: string): Promise<Payload | undefined> => {
      const entry = entries.get(keyOf(id))
      return entry !== undefined && Date.now() < entry.expiresAtMs ? entry.payload : undefined
    }
    return {
      find,
      async upsert(id: string, payload: Payload, expiresIn?: number): Promise<void> {
        const expiresAtMs = expiresIn === undefined ? Number.POSITIVE_INFINITY : Date.now() + expiresIn * 1000
        entries.set(keyOf(id), { payload, expiresAtMs })
      },
      async destroy(id: string): Promise<void> {
        entries.delete(keyOf(id))
      },
      async consume(id: string): Promise<void> {
        const entry = entries.get(keyOf(id))
        if (entry === undefined) return
        entries.set(keyOf(id), { ...entry, payload: { ...entry.payload, consumed: Math.floor(Date.now() / 1000) } })
      },
      async revokeByGrantId(grantId: string): Promise<void> {
        for (const [key, { payload }] of entries) if (payload['grantId'] === grantId) entries.delete(key)
      },
      async findByUid(): Promise<undefined> {},
      async findByUserCode(): Promise<undefined> {},
    }
  }
}
