// The body a client sends: collected whole, in memory first, in a temporary file beyond client_body_buffer_size, before a
// worker or an upstream sees any of it. This is what keeps a client that trickles its upload from holding anybody.
//
// The session feeds it the bytes behind the head (body bytes only: framing is undone by the session's codec).

import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { CRIT, ERR } from '../log/error-log.ts'
import { DONE } from './module.ts'
import { respondSpecial } from './output.ts'
import type { HttpRequest } from './request.ts'

/** Called once when the body is complete. Errors end the request before that. */
export type BodyReady = (r: HttpRequest) => void

const FIRST_ALLOCATION = 4096

export class RequestBody {
  /** Bytes received so far; the body's length once `complete`. */
  length = 0
  /** Declared length, -1 for chunked. */
  readonly declared: number
  complete = false
  /** Path of the temporary file, '' while the body is in memory. The file goes when the request ends. */
  path = ''
  descriptor = -1
  /** Is anybody collecting? Otherwise the bytes are dropped as they come. */
  collecting = false
  /** May bytes come? Until somebody wants them or the answer is under way, the session keeps them back: a request that waits
   *  for something before its handler is found must not lose its body. */
  wanted = false
  /** Names and values in turn. */
  trailers: readonly string[] = []
  refused = false
  /** Its chunks are broken in what has come with the head. Whoever reads the body will find it out. */
  broken = false
  /** However short it is: somebody wants the file itself (storeRequestBody). */
  inFile = false
  private keepsFile = false
  private holders = 1
  private memory: Buffer | null = null
  private ready: BodyReady | null = null

  constructor(declared: number) {
    this.declared = declared
  }

  /** The body when it is in memory (empty when there is none); not for bodies with a `path`. */
  bytes(): Buffer {
    return this.memory === null ? Buffer.alloc(0) : this.memory.subarray(0, this.length)
  }

  /** Reads a part of a body on disk. @returns bytes read */
  read(into: Buffer, position: number): number {
    return readSync(this.descriptor, into, 0, into.length, position)
  }

  collect(ready: BodyReady): void {
    this.collecting = true
    this.wanted = true
    this.ready = ready
  }

  /** More bytes. False: the request has been answered with an error. */
  feed(r: HttpRequest, chunk: Buffer): boolean {
    if (!this.collecting) {
      this.length += chunk.length
      return true
    }
    const limit = r.location.clientMaxBodySize
    if (limit !== 0 && this.length + chunk.length > limit) {
      logTooLarge(r, this.length, chunk.length)
      this.length += chunk.length
      respondSpecial(r, 413)
      return false
    }
    const inMemory = this.path === '' && !this.inFile && r.location.clientBodyInFileOnly === 'off'
    if (inMemory && this.length + chunk.length <= this.memoryMax(r)) this.remember(r, chunk)
    else if (!this.store(r, chunk)) return false
    this.length += chunk.length
    return true
  }

  finish(r: HttpRequest): void {
    this.complete = true
    const inFileOnly = this.inFile || r.location.clientBodyInFileOnly !== 'off'
    if (this.collecting && inFileOnly && this.path === '' && !this.store(r, this.bytes())) return
    const ready = this.ready
    this.ready = null
    if (ready !== null && !r.done) ready(r)
  }

  /** The file of a complete body becomes the caller's, who moves or deletes it. '' when there is none. */
  takeFile(r: HttpRequest): string {
    // An empty body has brought no byte to be stored.
    if (this.path === '' && !this.store(r, this.bytes())) return ''
    this.keepsFile = true
    return this.path
  }

  /** Nothing of it is good for whoever answers now: too large, or collected in part when something failed. */
  isRefused(): boolean {
    return this.refused || (this.collecting && !this.complete)
  }

  /** Somebody else reads the body, too, and may outlive the request: each holder calls release(). */
  share(): void {
    this.holders++
  }

  release(): void {
    if (--this.holders > 0) return
    this.memory = null
    this.ready = null
    if (this.descriptor < 0) return
    closeSync(this.descriptor)
    this.descriptor = -1
    if (this.keepsFile) return
    try {
      unlinkSync(Buffer.from(this.path, 'latin1'))
    } catch {
      // Somebody tidied the folder before us: the file is gone, which is what was wanted.
    }
  }

  /** As nginx: a body that is up to a quarter larger than the buffer is not worth a file, but in HTTP/2. */
  private memoryMax(r: HttpRequest): number {
    const size = r.location.clientBodyBufferSize
    return r.version < 20 && this.declared > size && this.declared < size + (size >> 2) ? this.declared : size
  }

  private remember(r: HttpRequest, chunk: Buffer): void {
    const needed = this.length + chunk.length
    if (this.memory === null) {
      const size = this.declared >= 0 ? Math.min(this.declared, this.memoryMax(r)) : FIRST_ALLOCATION
      this.memory = Buffer.allocUnsafe(Math.max(size, needed))
    } else if (needed > this.memory.length) {
      const larger = Buffer.allocUnsafe(Math.min(Math.max(needed, this.memory.length * 2), this.memoryMax(r)))
      this.memory.copy(larger, 0, 0, this.length)
      this.memory = larger
    }
    chunk.copy(this.memory, this.length)
  }

  /** Appends to the temporary file, which is made now if need be. */
  private store(r: HttpRequest, chunk: Buffer): boolean {
    try {
      if (this.descriptor < 0) {
        this.path = `${r.location.clientBodyTempPath}/${tempName()}`
        this.descriptor = openSync(Buffer.from(this.path, 'latin1'), 'wx+', 0o600)
        this.keepsFile = r.location.clientBodyInFileOnly === 'on'
        if (r.location.clientBodyInFileOnly === 'off' && !this.inFile)
          r.log(r.location.tempFileLogLevel, `a client request body is buffered to a temporary file ${this.path}`)
        if (this.memory !== null) writeFully(this.descriptor, this.memory.subarray(0, this.length))
        this.memory = null
      }
      writeFully(this.descriptor, chunk)
      return true
    } catch (error) {
      r.log(CRIT, `client request body could not be stored in "${this.path}" (${(error as Error).message})`)
      respondSpecial(r, 500)
      return false
    }
  }
}

/**
 * Collects the request's body and calls `ready` when it is whole, at once when it already is.
 * For content handlers: `return readRequestBody(r, bodyReady)`.
 */
export function readRequestBody(r: HttpRequest, ready: BodyReady): number {
  const body = r.body
  if (body === null || body.complete) {
    ready(r)
    return DONE
  }
  body.collect(ready)
  r.stream.readBody(true)
  return DONE
}

/** Whatever body follows is to be in a file, which may be taken when it is complete; a request without one gets an empty one. */
export function storeRequestBody(r: HttpRequest): void {
  if (r.body === null) {
    r.body = new RequestBody(0)
    r.body.complete = true
  }
  r.body.inFile = true
}

let tempCount = 0

/** A name no other thread or process uses: pid, time and a counter. */
export function tempName(): string {
  tempCount++
  return `${process.pid.toString(36)}-${process.hrtime.bigint().toString(36)}-${tempCount.toString(36)}`
}

/** Writes all of it; throws what write() throws (disk full). */
export function writeFully(descriptor: number, bytes: Buffer): void {
  let done = 0
  while (done < bytes.length) done += writeSync(descriptor, bytes, done, bytes.length - done)
}

/** A body is larger than it may be, and has not said so before. HTTP/1 is told what has come before, and what with it. */
export function logTooLarge(r: HttpRequest, before: number, more: number): void {
  const size = r.version === 20 ? `${before + more}` : `${before}+${more}`
  r.log(ERR, `client intended to send too large chunked body: ${size} bytes`)
}
