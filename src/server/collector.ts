/** What of V8's collector does not suit a server of short requests. */
import { setFlagsFromString } from 'node:v8'
import { replaceStreamTables } from './stream-table.ts'

/**
 * Called before the first request. V8 notes which places allocate objects that outlive a young collection, and allocates
 * there in the old generation from then on. In an HTTP/2 server nearly all of a stream is noted so when a collection falls
 * into the first busy moment: from then on a quarter of what each request leaves behind waits for a full collection.
 * Without it a memory hit promotes nothing: a third less CPU time, no full collections. docs/performance.md has the figures.
 */
export function tuneCollector(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
  replaceStreamTables()
}
