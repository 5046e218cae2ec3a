// node:zlib's engines, driven synchronously: bytes in, bytes out, in the same call. A piece of a response is coded in less
// time than it takes to hand it to another thread, head and body can leave together, and the order of pieces is trivially
// right. Node offers that only for whole buffers, with an engine made anew for each; the handle behind its streams can go
// on where it stopped and start over, which halves the price of a small body.

import { constants, createBrotliCompress, createGunzip, createGzip, createZstdCompress } from 'node:zlib'

/** Codings that a coder produces, and `gunzip`, which takes one away. */
export type CoderKind = 'gzip' | 'br' | 'zstd' | 'gunzip'

/** What stands behind a stream of node:zlib. */
interface Engine {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Buffer,
      inAt: number,
      inSize: number,
      out: Buffer,
      outAt: number,
      outSize: number,
    ): void
    reset(): void
    onerror: (message: string) => void
  }
  /** After a write: room left in the output, bytes left of the input. */
  readonly _writeState: Uint32Array
  close(): void
}

interface Flushes {
  readonly none: number
  readonly flush: number
  readonly finish: number
}

const zlibFlushes: Flushes = {
  none: constants.Z_NO_FLUSH,
  flush: constants.Z_SYNC_FLUSH,
  finish: constants.Z_FINISH,
}
const flushesOf: Readonly<Record<CoderKind, Flushes>> = {
  gzip: zlibFlushes,
  gunzip: zlibFlushes,
  br: {
    none: constants.BROTLI_OPERATION_PROCESS,
    flush: constants.BROTLI_OPERATION_FLUSH,
    finish: constants.BROTLI_OPERATION_FINISH,
  },
  zstd: { none: constants.ZSTD_e_continue, flush: constants.ZSTD_e_flush, finish: constants.ZSTD_e_end },
}

const OUTPUT_PIECE = 65536
/** What step() has just made lies here until the next step of any coder of this thread. */
const output = Buffer.allocUnsafeSlow(OUTPUT_PIECE)
/** Engines that have finished a response and wait for the next: a few of each kind. */
const IDLE_MAX = 4

export class Coder {
  readonly flushes: Flushes
  /** It takes a coding away, whose end may not have come. */
  readonly mayLackEnd: boolean
  /** Bytes of the input that the last step left. */
  inputLeft = 0
  /** Had the last step more to say than there was room for? */
  unfinished = false
  /** Why the engine gave up, '' while it works. */
  failure = ''
  private readonly engine: Engine
  private readonly idle: Coder[] | null

  constructor(engine: unknown, kind: CoderKind, idle: Coder[] | null) {
    this.engine = engine as Engine
    this.flushes = flushesOf[kind]
    this.mayLackEnd = kind === 'gunzip'
    this.idle = idle
    // Not an event: the engine calls this very property.
    // oxlint-disable-next-line unicorn/prefer-add-event-listener
    this.engine._handle.onerror = message => {
      this.failure = message
    }
  }

  /** Codes some of the input from `from` on; the answer is valid until the next step. */
  step(input: Buffer, from: number, flush: number): Buffer {
    const { _handle: handle, _writeState: state } = this.engine
    handle.writeSync(flush, input, from, input.length - from, output, 0, OUTPUT_PIECE)
    if (this.failure !== '') return output.subarray(0, 0)
    const room = state[0]!
    this.inputLeft = state[1]!
    this.unfinished = room === 0
    return output.subarray(0, OUTPUT_PIECE - room)
  }

  /** The response is over; the coder must not be used any more. */
  release(): void {
    if (this.idle === null || this.idle.length >= IDLE_MAX || this.failure !== '') {
      this.engine.close()
      return
    }
    this.engine._handle.reset()
    this.idle.push(this)
  }
}

const idleCoders = new Map<string, Coder[]>()

export function gzipCoder(level: number, windowBits: number, memLevel: number): Coder {
  const key = `${level} ${windowBits} ${memLevel}`
  let idle = idleCoders.get(key)
  if (idle === undefined) {
    idle = []
    idleCoders.set(key, idle)
  }
  return idle.pop() ?? new Coder(createGzip({ level, windowBits, memLevel }), 'gzip', idle)
}

const idleGunzips: Coder[] = []

export function gunzipCoder(): Coder {
  return idleGunzips.pop() ?? new Coder(createGunzip(), 'gunzip', idleGunzips)
}

// A reset makes these engines forget their level: they serve once.

export function brotliCoder(quality: number, windowBits: number): Coder {
  const params = { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_LGWIN]: windowBits }
  return new Coder(createBrotliCompress({ params }), 'br', null)
}

export function zstdCoder(level: number): Coder {
  return new Coder(createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } }), 'zstd', null)
}
