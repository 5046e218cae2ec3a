// A client for tests that mind every byte: it sends what it is told and shows what comes back. Chunks, pauses, half-closes
// and pipelines are the caller's business; only reading an answer is done for it.

import type net from 'node:net'
import { atEnd } from './scope.ts'
import type { Scope } from './scope.ts'
import { within } from './eventually.ts'
import { MessageReader } from './message.ts'
import type { Response } from './message.ts'
import { connectTo, reset } from './ports.ts'
import type { Address } from './ports.ts'

const PATIENCE_MS = 60_000

export interface RequestOptions {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
  /** `1.0` sends no Host of its own. */
  readonly version?: '1.0' | '1.1'
  readonly timeoutMs?: number
}

/** Connects, and disconnects when the test ends. */
export async function raw(t: Scope, address: Address): Promise<RawClient> {
  const client = new RawClient(address)
  atEnd(t, () => client.destroy())
  await client.connected
  return client
}

export class RawClient {
  readonly socket: net.Socket
  readonly connected: Promise<void>
  /** What has come and was not yet asked for. */
  received: Buffer = Buffer.alloc(0)
  ended = false
  error: NodeJS.ErrnoException | null = null
  #wake: (() => void) | null = null

  constructor(address: Address) {
    this.socket = connectTo(address, { allowHalfOpen: true })
    this.socket.setNoDelay(true)
    this.connected = new Promise((resolve, reject) => {
      this.socket.once('connect', resolve)
      this.socket.once('error', reject)
    })
    this.socket.on('data', (bytes: Buffer) => {
      this.received = this.received.length === 0 ? bytes : Buffer.concat([this.received, bytes])
      this.#wake?.()
    })
    this.socket.on('end', () => this.#stopped(null))
    this.socket.on('close', () => this.#stopped(null))
    this.socket.on('error', error => this.#stopped(error))
  }

  /** Strings are sent as latin1, a character a byte. Resolves when the kernel has taken them. */
  send(bytes: string | Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, error =>
        error ? reject(error) : resolve(),
      )
    })
  }

  /** The next response, an interim one (1xx) too. `method` is that of the request it answers. */
  async response(method = 'GET', timeoutMs = PATIENCE_MS): Promise<Response> {
    const reader = new MessageReader('response', method)
    for (;;) {
      this.received = Buffer.from(reader.feed(this.received))
      if (reader.done) return reader.response()
      if (this.ended) {
        if (this.error !== null) throw this.error
        reader.end()
        return reader.response()
      }
      await this.#more(timeoutMs, () => `no whole response: "${reader.head}${reader.line}"`)
    }
  }

  /** Sends a request and reads its final response, leaving the connection open. */
  async request(options: RequestOptions = {}): Promise<Response> {
    await this.send(requestBytes(options))
    for (;;) {
      const response = await this.response(options.method, options.timeoutMs)
      if (response.status >= 200 || response.status === 101) return response
    }
  }

  /** Everything received up to and with this text, as latin1. */
  async until(text: string, timeoutMs = PATIENCE_MS): Promise<string> {
    for (;;) {
      const at = this.received.indexOf(text, 0, 'latin1')
      if (at !== -1) return this.#take(at + Buffer.byteLength(text, 'latin1'))
      if (this.ended) throw new Error(`closed before "${text}" came, after "${this.received.toString('latin1')}"`)
      await this.#more(timeoutMs, () => `"${text}" did not come, only "${this.received.toString('latin1')}"`)
    }
  }

  /** Waits for the server to close or reset; gives what was left to read. */
  async closed(timeoutMs = PATIENCE_MS): Promise<string> {
    while (!this.ended) await this.#more(timeoutMs, () => 'the connection stays open')
    return this.#take(this.received.length)
  }

  /** Closes our direction only. */
  end(): void {
    this.socket.end()
  }

  /** Closes with a reset. */
  reset(): void {
    reset(this.socket)
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Stops reading, so that the server's writes back up; resume() goes on. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  #take(length: number): string {
    const text = this.received.toString('latin1', 0, length)
    this.received = this.received.subarray(length)
    return text
  }

  #stopped(error: Error | null): void {
    this.ended = true
    this.error ??= error
    this.#wake?.()
  }

  #more(timeoutMs: number, what: () => string): Promise<void> {
    const news = new Promise<void>(resolve => {
      this.#wake = resolve
    })
    return within(news, timeoutMs, what)
  }
}

/** A request as bytes, with Host and the body's length unless the headers say otherwise. */
export function requestBytes(options: RequestOptions): Buffer {
  const { method = 'GET', path = '/', headers = {}, body = '', version = '1.1' } = options
  const payload = typeof body === 'string' ? Buffer.from(body) : body
  const given = new Set(Object.keys(headers).map(name => name.toLowerCase()))
  let head = `${method} ${path} HTTP/${version}\r\n`
  if (version === '1.1' && !given.has('host')) head += 'Host: localhost\r\n'
  for (const [name, value] of Object.entries(headers)) {
    for (const one of typeof value === 'string' ? [value] : value) head += `${name}: ${one}\r\n`
  }
  const framed = given.has('content-length') || given.has('transfer-encoding')
  if (!framed && (payload.length > 0 || method === 'POST' || method === 'PUT'))
    head += `Content-Length: ${payload.length}\r\n`
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), payload])
}

/** One request on a connection of its own, which the server is asked to close. */
export async function request(options: RequestOptions & { readonly address: Address }): Promise<Response> {
  const client = new RawClient(options.address)
  try {
    await client.connected
    return await client.request({ ...options, headers: { Connection: 'close', ...options.headers } })
  } finally {
    client.destroy()
  }
}

export function get(address: Address, path = '/', headers: RequestOptions['headers'] = {}): Promise<Response> {
  return request({ address, path, headers })
}
