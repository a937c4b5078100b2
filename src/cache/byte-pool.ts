/**
 * Bytes outside V8's heap. Pages of 256 KiB, cut out of chunks of 4 MiB, hold cells of one size each; the sizes are an
 * eighth apart. Nothing moves and nothing is copied to grow. A page without a cell in use serves any size again; a size
 * takes a page only when all its pages are full, so the pool never holds more than each size's most at one time, added up.
 *
 * Every cell says to whom it belongs, and every access names the owner: a mistake throws and never shows another's bytes.
 */

/** A cell begins with its length plus 1, or less the number of the next freed cell of its page; then its owner. */
const OWNER = 4
const HEADER_BYTES = 8

const SMALLEST_CELL = 64
const LARGEST_CELL = 16_384
const CELL_UNIT = 16
const PAGE_BYTES = 256 * 1024
const CHUNK_BYTES = 4 * 1024 * 1024

/** Bytes; each the next multiple of the unit that is an eighth larger than the one before. */
const CELL_SIZES: readonly number[] = cellSizes()
/** By the number of units: the index of the smallest size that holds them. */
const CLASS_OF_UNITS = Uint8Array.from({ length: LARGEST_CELL / CELL_UNIT + 1 }, (_, units) =>
  CELL_SIZES.findIndex((size) => size >= units * CELL_UNIT),
)

const NO_CELL = 0
const CLOSED = -1
const NOT_THE_OWNERS = 'these bytes belong to another'

/** No bytes. */
export const NOWHERE = 0

interface Chunk {
  readonly bytes: Buffer
  readonly words: DataView
}

class Page {
  /** Of its first cell, counted from the pool's first byte. */
  readonly start: number
  sizeClass = 0
  cellBytes = 0
  used = 0
  /** Cells that were ever in use since it has this size; they are numbered from 1. */
  begun = 0
  /** The cell last freed, or NO_CELL. The others follow from it. */
  freed = NO_CELL
  /** Its index among the open pages of its size; CLOSED: it is full, or of no size. */
  openAt = CLOSED

  constructor(start: number) {
    this.start = start
  }
}

/** Bytes too many for a cell. */
interface Large {
  readonly owner: number
  readonly bytes: Buffer
}

export class BytePool {
  readonly #chunks: Chunk[] = []
  readonly #pages: Page[] = []
  /** Pages of no size. */
  readonly #emptyPages: Page[] = []
  /** By size: the pages with room. */
  readonly #open: Page[][] = CELL_SIZES.map(() => [])
  readonly #large: (Large | undefined)[] = []
  /** Places in `#large` that are free. */
  readonly #vacant: number[] = []

  /** Copies `bytes`, and says where: never NOWHERE. `owner`: 32 bits. */
  add(owner: number, bytes: Uint8Array): number {
    const location = this.#allocate(owner, bytes.length)
    this.#bytesOf(location).set(bytes, startOf(location))
    return location
  }

  /** Well-formed texts as UTF-8, one behind the other. */
  addTexts(owner: number, texts: readonly string[]): number {
    let length = 0
    for (const text of texts) length += Buffer.byteLength(text)
    const location = this.#allocate(owner, length)
    const bytes = this.#bytesOf(location)
    const end = startOf(location) + length
    let at = end - length
    for (const text of texts) at += bytes.write(text, at, end - at)
    // What is left of a cell is what stood there before.
    if (at !== end) throw new Error('a text is not as long as was measured')
    return location
  }

  /** Throws where they are not the owner's, freed ones included. */
  free(location: number, owner: number): void {
    this.length(location, owner)
    if (location < 0) this.#freeLarge(location)
    else this.#freeCell(location - HEADER_BYTES)
  }

  /** How many bytes. Throws where they are not the owner's. */
  length(location: number, owner: number): number {
    if (location < 0) return this.#ownLarge(location, owner).length
    const { words } = this.#chunk(location)
    const at = (location % CHUNK_BYTES) - HEADER_BYTES
    const state = words.getInt32(at, true)
    if (state <= 0 || words.getInt32(at + OWNER, true) !== owner) throw new Error(NOT_THE_OWNERS)
    return state - 1
  }

  /** A fresh copy. Throws where they are not the owner's. */
  copy(location: number, owner: number): Buffer {
    const copy = Buffer.allocUnsafe(this.length(location, owner))
    const start = startOf(location)
    this.#bytesOf(location).copy(copy, 0, start, start + copy.length)
    return copy
  }

  /** UTF-8 from `from` up to `to`, counted from the first byte. Throws where they are not the owner's. */
  text(location: number, owner: number, from: number, to: number): string {
    if (to > this.length(location, owner)) throw new RangeError('beyond the owner’s bytes')
    const start = startOf(location)
    return this.#bytesOf(location).toString('utf8', start + from, start + to)
  }

  /** What it holds of the machine's memory at most: pages are touched one by one. */
  get reservedBytes(): number {
    return this.#chunks.length * CHUNK_BYTES + this.#large.reduce((sum, large) => sum + (large?.bytes.length ?? 0), 0)
  }

  clear(): void {
    this.#chunks.length = 0
    this.#pages.length = 0
    this.#emptyPages.length = 0
    for (const pages of this.#open) pages.length = 0
    this.#large.length = 0
    this.#vacant.length = 0
  }

  /** Its bytes are whatever they were: whoever asks writes all of them at once. */
  #allocate(owner: number, length: number): number {
    const needed = HEADER_BYTES + length
    if (needed > LARGEST_CELL) return this.#addLarge({ owner, bytes: Buffer.allocUnsafeSlow(length) })
    const location = this.#takeCell(CLASS_OF_UNITS[Math.ceil(needed / CELL_UNIT)] ?? 0)
    const { words } = this.#chunk(location)
    const at = location % CHUNK_BYTES
    words.setInt32(at, length + 1, true)
    words.setInt32(at + OWNER, owner, true)
    return location + HEADER_BYTES
  }

  /** In which they begin at `startOf(location)`. For who has just allocated them or asked for their `length`: no owner is compared. */
  #bytesOf(location: number): Buffer {
    if (location >= 0) return this.#chunk(location).bytes
    const large = this.#large[-location - 1]
    if (large === undefined) throw new Error(NOT_THE_OWNERS)
    return large.bytes
  }

  #takeCell(sizeClass: number): number {
    const page = this.#openOf(sizeClass).at(-1) ?? this.#openPage(sizeClass)
    const cell = page.freed === NO_CELL ? page.begun + 1 : page.freed
    const location = page.start + (cell - 1) * page.cellBytes
    if (page.freed === NO_CELL) page.begun = cell
    else page.freed = -this.#chunk(location).words.getInt32(location % CHUNK_BYTES, true)
    page.used += 1
    if ((page.used + 1) * page.cellBytes > PAGE_BYTES) this.#close(page)
    return location
  }

  #freeCell(location: number): void {
    const page = this.#pages[Math.floor(location / PAGE_BYTES)]
    if (page === undefined) throw new RangeError('no such page')
    this.#chunk(location).words.setInt32(location % CHUNK_BYTES, -page.freed, true)
    page.freed = (location - page.start) / page.cellBytes + 1
    page.used -= 1
    if (page.openAt === CLOSED) this.#enlist(page)
    if (page.used > 0) return
    this.#close(page)
    this.#emptyPages.push(page)
  }

  #openPage(sizeClass: number): Page {
    if (this.#emptyPages.length === 0) this.#addChunk()
    const page = this.#emptyPages.pop()
    if (page === undefined) throw new RangeError('no page')
    page.sizeClass = sizeClass
    page.cellBytes = CELL_SIZES[sizeClass] ?? PAGE_BYTES
    page.begun = 0
    page.freed = NO_CELL
    this.#enlist(page)
    return page
  }

  #addChunk(): void {
    const bytes = Buffer.alloc(CHUNK_BYTES)
    const start = this.#chunks.length * CHUNK_BYTES
    this.#chunks.push({ bytes, words: new DataView(bytes.buffer, bytes.byteOffset, CHUNK_BYTES) })
    const pages = Array.from({ length: CHUNK_BYTES / PAGE_BYTES }, (_, index) => new Page(start + index * PAGE_BYTES))
    this.#pages.push(...pages)
    // The first page is taken first.
    this.#emptyPages.push(...pages.reverse())
  }

  #enlist(page: Page): void {
    page.openAt = this.#openOf(page.sizeClass).push(page) - 1
  }

  /** The last open page of its size takes its place. */
  #close(page: Page): void {
    const pages = this.#openOf(page.sizeClass)
    const last = pages.pop()
    if (last !== undefined && last !== page) {
      pages[page.openAt] = last
      last.openAt = page.openAt
    }
    page.openAt = CLOSED
  }

  #openOf(sizeClass: number): Page[] {
    const pages = this.#open[sizeClass]
    if (pages === undefined) throw new RangeError('no such size')
    return pages
  }

  #addLarge(large: Large): number {
    const index = this.#vacant.pop() ?? this.#large.length
    this.#large[index] = large
    return -index - 1
  }

  #freeLarge(location: number): void {
    this.#large[-location - 1] = undefined
    this.#vacant.push(-location - 1)
  }

  #ownLarge(location: number, owner: number): Buffer {
    const large = this.#large[-location - 1]
    if (large === undefined || large.owner !== owner) throw new Error(NOT_THE_OWNERS)
    return large.bytes
  }

  #chunk(location: number): Chunk {
    const chunk = this.#chunks[Math.floor(location / CHUNK_BYTES)]
    if (chunk === undefined) throw new RangeError('no such chunk')
    return chunk
  }
}

/** Within its chunk; what is too large for a cell has a buffer of its own. */
const startOf = (location: number): number => (location < 0 ? 0 : location % CHUNK_BYTES)

function cellSizes(): readonly number[] {
  const sizes: number[] = []
  for (let size = SMALLEST_CELL; size < LARGEST_CELL; size = Math.ceil((size * 9) / 8 / CELL_UNIT) * CELL_UNIT) {
    sizes.push(size)
  }
  return [...sizes, LARGEST_CELL]
}
