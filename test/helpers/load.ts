// A small, bounded load generator that accounts for every request: answered, refused a connection, or lost. It is for
// asking "was one request lost while …?", not "how fast is it?"; its latencies are good for comparing, no more.
//
// A server may close an idle connection at the very moment a client uses it again. Such a request was never read, a client
// may repeat it (RFC 9110 section 9.2.2), and so it is: once, on a new connection, counted as `retried`. A request that was
// read and got no answer, or half of one, is lost.

import type net from 'node:net'
import { MessageReader } from './message.ts'
import type { Response } from './message.ts'
import { connectTo } from './ports.ts'
import type { Address } from './ports.ts'
import { requestBytes } from './raw.ts'
import type { RequestOptions } from './raw.ts'

export interface LoadOptions extends RequestOptions {
  readonly connections?: number
  /** Stops after so many requests, or after so many seconds, whichever is given (1000 requests if neither is). */
  readonly requests?: number
  readonly seconds?: number
  /** Whether connections are used again; if not, each request asks for the connection to be closed. */
  readonly keepAlive?: boolean
  /** Looks at each answer; a string it returns is counted in `wrong`. */
  readonly check?: (response: Response) => string | null
}

export interface LoadResult {
  /** Requests that were begun. Equal to answered + lost + the errors. */
  readonly requests: number
  readonly answered: number
  readonly statuses: Readonly<Record<number, number>>
  /** Read by the server and not, or not wholly, answered. */
  readonly lost: number
  /** Sent again since an idle connection had been closed. */
  readonly retried: number
  /** Why connections could not be made, answers took too long (`timeout`) or made no sense. */
  readonly errors: Readonly<Record<string, number>>
  readonly wrong: Readonly<Record<string, number>>
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly seconds: number
  readonly rate: number
}

const TIMEOUT_MS = 60_000

export async function load(address: Address, options: LoadOptions = {}): Promise<LoadResult> {
  const run = new Run(address, options)
  const begun = performance.now()
  await Promise.all(Array.from({ length: options.connections ?? 8 }, () => new Client(run).work()))
  return run.result((performance.now() - begun) / 1000)
}

/** What the clients share. */
class Run {
  readonly address: Address
  readonly options: LoadOptions
  readonly bytes: Buffer
  readonly keepAlive: boolean
  readonly deadline: number
  left: number
  begun = 0
  answered = 0
  lost = 0
  retried = 0
  readonly statuses: Record<number, number> = {}
  readonly errors: Record<string, number> = {}
  readonly wrong: Record<string, number> = {}
  readonly latencies: number[] = []

  constructor(address: Address, options: LoadOptions) {
    this.address = address
    this.options = options
    this.keepAlive = options.keepAlive ?? true
    this.bytes = requestBytes(
      this.keepAlive ? options : { ...options, headers: { Connection: 'close', ...options.headers } },
    )
    this.left = options.requests ?? (options.seconds === undefined ? 1000 : Infinity)
    this.deadline = options.seconds === undefined ? Infinity : performance.now() + options.seconds * 1000
  }

  /** Whether there is another request to make; it counts as begun. */
  take(): boolean {
    if (this.left <= 0 || performance.now() >= this.deadline) return false
    this.left--
    this.begun++
    return true
  }

  record(response: Response, latency: number): void {
    this.answered++
    this.latencies.push(latency)
    count(this.statuses, response.status)
    const complaint = this.options.check?.(response) ?? null
    if (complaint !== null) count(this.wrong, complaint)
  }

  result(seconds: number): LoadResult {
    const { answered, lost, retried, statuses, errors, wrong } = this
    const sorted = Float64Array.from(this.latencies).sort()
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
    const figures = { p50: at(0.5), p99: at(0.99), max: at(1), seconds, rate: answered / seconds }
    return { requests: this.begun, answered, lost, retried, statuses, errors, wrong, ...figures }
  }
}

/** How one exchange went: an answer, or what happened instead. */
type Outcome = Response | 'unread' | 'lost' | { readonly error: string }

/** One connection at a time, one request at a time on it. */
class Client {
  readonly run: Run
  socket: net.Socket | null = null

  constructor(run: Run) {
    this.run = run
  }

  async work(): Promise<void> {
    while (this.run.take()) await this.one()
    this.socket?.destroy()
  }

  async one(): Promise<void> {
    const begun = performance.now()
    let outcome = await this.exchange()
    if (outcome === 'unread') {
      this.run.retried++
      outcome = await this.exchange()
    }
    if (outcome === 'lost' || outcome === 'unread') this.run.lost++
    else if ('error' in outcome) count(this.run.errors, outcome.error)
    else this.run.record(outcome, performance.now() - begun)
  }

  async exchange(): Promise<Outcome> {
    const reused = this.socket !== null && this.socket.readyState === 'open'
    if (!reused) {
      const made = await connected(this.run.address)
      if (typeof made === 'string') return { error: made }
      this.socket = made
    }
    const socket = this.socket!
    const outcome = await this.answer(socket, reused)
    const usable = typeof outcome === 'object' && !('error' in outcome) && this.run.keepAlive && staysOpen(outcome)
    if (!usable) {
      socket.destroy()
      this.socket = null
    }
    return outcome
  }

  answer(socket: net.Socket, reused: boolean): Promise<Outcome> {
    const { options, bytes } = this.run
    let reader = new MessageReader('response', options.method)
    return new Promise(resolve => {
      const finish = (outcome: Outcome): void => {
        clearTimeout(timer)
        socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('error')
        socket.on('error', () => {})
        resolve(outcome)
      }
      const timer = setTimeout(() => finish({ error: 'timeout' }), options.timeoutMs ?? TIMEOUT_MS)
      const consume = (chunk: Buffer): void => {
        let rest = reader.feed(chunk)
        while (reader.done) {
          const response = reader.response()
          if (response.status >= 200) return finish(rest.length > 0 ? { error: 'bytes after the response' } : response)
          reader = new MessageReader('response', options.method)
          rest = reader.feed(rest)
        }
      }
      socket.on('data', (chunk: Buffer) => {
        try {
          consume(chunk)
        } catch (error) {
          finish({ error: String(error) })
        }
      })
      socket.on('end', () => {
        if (reader.state === 'until-close') {
          reader.end()
          finish(reader.response())
        } else if (reused && !reader.begun) {
          // If our request met a closed socket, the kernel has been told so by now and a further write fails.
          socket.removeAllListeners('error').once('error', () => finish('unread'))
          socket.write('\r\n', error => finish(error ? 'unread' : 'lost'))
        } else finish('lost')
      })
      // A reset, too: bytes were waiting unread when the server closed.
      socket.on('error', () => finish(reused && !reader.begun ? 'unread' : 'lost'))
      socket.write(bytes)
    })
  }
}

function connected(address: Address): Promise<net.Socket | string> {
  return new Promise(resolve => {
    const socket = connectTo(address, { allowHalfOpen: true })
    socket.setNoDelay(true)
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
  })
}

function staysOpen(response: Response): boolean {
  const connection = response.header('connection')?.toLowerCase() ?? ''
  if (connection.includes('close')) return false
  return response.version === 'HTTP/1.1' || connection.includes('keep-alive')
}

function count(table: Record<string, number>, key: string | number): void {
  table[key] = (table[key] ?? 0) + 1
}
