// A file that logs are appended to. Nobody ever waits for it: what a pipe has no room for is kept for a while, up to a limit,
// and what cannot be written (full disk) is lost, which the error log is told of once a minute.

import { closeSync, constants, fstatSync, openSync, statSync, writeSync } from 'node:fs'
import { errorText } from '../lib/errno.ts'

/** Of what a pipe's reader is behind with: the rest of it is lost. */
const KEPT_MAX = 1048576
const RETRY_MS = 20
/** For the last lines, when the program ends: so many in vain, a millisecond each. */
const LAST_TRIES = 100
/** As often as nginx. */
const TOLD_EVERY_MS = 60_000

/** Hears, in words, of what is lost; whoever does may be logging to that very file. */
export type Told = (problem: string) => void

/** It can be reopened under the same name; shared by all who log there. */
export class LogFile {
  readonly path: string | null
  /** Who has lines for it still, which are of before a rotation. */
  readonly beforeReopen: (() => void)[] = []
  private readonly tell: Told
  private descriptor: number
  private waiting = ''
  private scheduled = false
  private readonly flusher: () => void
  /** A pipe is full: what comes behind the rest of a line, or of many. */
  private kept: Buffer[] = []
  private keptBytes = 0
  private toldMs = -Infinity

  /** `path` null: standard error. `/dev/stdout` and `/dev/stderr` mean the inherited descriptors, which need no permission. */
  constructor(path: string | null, tell: Told = () => {}) {
    this.path = path
    this.tell = tell
    this.descriptor = openLog(path)
    this.flusher = () => this.flush()
  }

  /** Appends latin1 text, written at the end of this turn of the event loop. */
  append(text: string): void {
    this.waiting += text
    if (this.scheduled) {
      if (this.waiting.length > 65536) this.flush()
      return
    }
    this.scheduled = true
    setImmediate(this.flusher)
  }

  /** Writes at once, behind what waits. */
  write(text: string): void {
    this.waiting += text
    this.flush()
  }

  flush(): void {
    this.scheduled = false
    if (this.waiting === '') return
    const bytes = Buffer.from(this.waiting, 'latin1')
    this.waiting = ''
    if (this.kept.length > 0) this.keep(bytes)
    else this.put(bytes)
  }

  /** The last chance: a reader that is only slow gets all there is. */
  settle(): void {
    this.flush()
    for (let tries = LAST_TRIES; this.kept.length > 0 && tries > 0; tries--) {
      const before = this.keptBytes
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
      this.putKept()
      if (this.keptBytes < before) tries = LAST_TRIES
    }
  }

  /** Opens the path anew (USR1): after a rotation the old name is another file. Throws what open() throws. */
  reopen(): void {
    for (const flush of this.beforeReopen) flush()
    this.flush()
    if (this.descriptor <= 2) return
    const fresh = openLog(this.path)
    closeSync(this.descriptor)
    this.descriptor = fresh
  }

  close(): void {
    this.settle()
    if (this.descriptor > 2) closeSync(this.descriptor)
    this.descriptor = -1
    this.kept = []
  }

  private put(bytes: Buffer): void {
    let done = 0
    while (done < bytes.length && this.descriptor >= 0) {
      try {
        done += writeSync(this.descriptor, bytes, done, bytes.length - done)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') this.keep(bytes.subarray(done))
        else this.complain(`failed (${errorText(error as NodeJS.ErrnoException)})`)
        return
      }
    }
  }

  private keep(bytes: Buffer): void {
    if (this.kept.length > 0 && this.keptBytes + bytes.length > KEPT_MAX) {
      this.complain('had to wait for its reader: lines are lost')
      return
    }
    if (this.kept.length === 0) setTimeout(() => this.putKept(), RETRY_MS).unref()
    this.kept.push(bytes)
    this.keptBytes += bytes.length
  }

  private putKept(): void {
    const bytes = Buffer.concat(this.kept)
    this.kept = []
    this.keptBytes = 0
    this.put(bytes)
  }

  private complain(problem: string): void {
    const now = performance.now()
    if (now - this.toldMs < TOLD_EVERY_MS) return
    this.toldMs = now
    this.tell(`write() to "${this.path ?? 'standard error'}" ${problem}`)
  }
}

function openLog(path: string | null): number {
  if (path === null || path === '/dev/stderr') return standard(2)
  if (path === '/dev/stdout') return standard(1)
  return openForLog(path)
}

const { O_APPEND, O_NONBLOCK, O_RDWR, O_WRONLY } = constants

/** An inherited pipe is opened once more, so that nobody else who has it finds that it does not wait. */
function standard(fd: 1 | 2): number {
  try {
    if (fstatSync(fd).isFIFO()) return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_APPEND | O_NONBLOCK)
  } catch {
    // another user's, or its reader has gone
  }
  return fd
}

/** A named pipe needs no reader: its room is used meanwhile. Throws what open() throws. */
export function openForLog(path: string): number {
  const name = Buffer.from(path, 'latin1')
  if (statSync(name, { throwIfNoEntry: false })?.isFIFO() !== true) return openSync(name, 'a', 0o644)
  try {
    return openSync(name, O_RDWR | O_NONBLOCK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    return openSync(name, O_WRONLY | O_NONBLOCK)
  }
}
