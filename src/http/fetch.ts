// A request of our own to some other server: one connection, one answer, all of it in memory. For what is asked now and then
// (OCSP responders, authorities that issue certificates), not for traffic.

import { isIP } from 'node:net'
import { ChunkedDecoder } from '../codec/h1/chunked.ts'
import { NO_LENGTH, type HeadLimits } from '../codec/h1/head.ts'
import { parseResponseHead, ResponseHead } from '../codec/h1/response-head.ts'
import { connect, type Connection, type ConnectionHandler } from '../net/connection.ts'
import type { TlsContext } from '../net/openssl/context.ts'
import { connectTls } from '../net/tls.ts'
import { codeText } from '../upstream/resolver.ts'
import type { LocationResolver } from './resolver.ts'

export interface FetchTarget {
  readonly host: string
  readonly port: number
  /** null: in plain text. */
  readonly tls: TlsContext | null
  /** Is the server's certificate checked, and its name? */
  readonly verifies: boolean
  /** null: the system's own. */
  readonly resolver: LocationResolver | null
  readonly timeoutMs: number
  /** Its answer has no body, whatever the head says (HEAD). */
  readonly bodyless?: boolean
}

export interface Fetched {
  readonly status: number
  readonly body: Buffer
  /** '' for one that is not there. */
  field(name: string): string
}

const ANSWER_MAX = 1_048_576
/** With each of them all are put together. */
const PIECES_MAX = 2048
const LIMITS: HeadLimits = {
  lineMax: 8192,
  fieldMax: 16384,
  headMax: 65536,
  fieldsMax: 200,
  underscores: true,
  ignoreInvalid: true,
}

/** `http://` or `https://`, host, port and path; null: it is no such URL. What it is made of becomes lines of a request. */
export function parseUrl(url: string): { secure: boolean; host: string; port: number; path: string } | null {
  // oxlint-disable-next-line no-control-regex
  const parts = /^(https?):\/\/(\[[0-9a-f:.]+\]|[^/:?#[\]@\s\0-\x1f]+)(?::(\d{1,5}))?([/?][^#\s\0-\x1f]*)?$/i.exec(url)
  if (parts === null) return null
  const [, scheme, host, port, path = '/'] = parts
  const secure = scheme!.toLowerCase() === 'https'
  const number = port === undefined ? (secure ? 443 : 80) : Number(port)
  if (number < 1 || number > 65535) return null
  return { secure, host: host!, port: number, path: path.startsWith('/') ? path : `/${path}` }
}

/**
 * @param request head and body, whose head asks for the connection to be closed
 * Rejects with what went wrong.
 */
export async function fetchOnce(target: FetchTarget, request: Buffer): Promise<Fetched> {
  const host = await addressOf(target)
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(target, request, resolve, reject)
    exchange.start(host)
  })
}

function addressOf({ host, resolver, timeoutMs }: FetchTarget): Promise<string> {
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  // What is no address, and for which there is no resolver, is looked up by the system as it connects.
  if (resolver === null || isIP(bare) !== 0) return Promise.resolve(bare)
  return new Promise((resolve, reject) => {
    resolver.resolver.resolve(bare, resolver.timeoutMs === 0 ? timeoutMs : resolver.timeoutMs, result => {
      const [first] = result.addresses
      if (result.code === 0 && first !== undefined) resolve(first)
      else reject(new Error(`${bare} could not be resolved (${codeText(result.code)})`))
    })
  })
}

class Exchange implements ConnectionHandler {
  private readonly target: FetchTarget
  private readonly request: Buffer
  private readonly resolve: (answer: Fetched) => void
  private readonly reject: (error: Error) => void
  private readonly chunks: Buffer[] = []
  private size = 0
  private connection: Connection | null = null
  private timer: NodeJS.Timeout | null = null
  private over = false

  constructor(
    target: FetchTarget,
    request: Buffer,
    resolve: (answer: Fetched) => void,
    reject: (error: Error) => void,
  ) {
    this.target = target
    this.request = request
    this.resolve = resolve
    this.reject = reject
  }

  start(host: string): void {
    const { port, tls, timeoutMs } = this.target
    this.timer = setTimeout(() => this.fail('timed out'), timeoutMs)
    this.connection = connect({ host, port }, this, () => {
      if (tls === null) this.ask()
      else this.secure(tls)
    })
  }

  private secure(context: TlsContext): void {
    const { host, verifies } = this.target
    const name = isIP(host.replace(/^\[(.*)\]$/, '$1')) === 0 ? host : ''
    const connection = connectTls(this.connection!, context, name, null, this, () => {
      const fault = connection.verifyFault
      if (verifies && fault !== null) this.fail(`certificate verify error: (${fault.code}:${fault.reason})`)
      else if (verifies && !names(connection.peerCertificate, host)) this.fail(`certificate does not match "${host}"`)
      else this.ask()
    })
    this.connection = connection
  }

  private ask(): void {
    this.connection!.write(this.request)
  }

  onData(chunk: Buffer): void {
    this.size += chunk.length
    if (this.size > ANSWER_MAX) this.fail('the answer is too large')
    else if (this.chunks.length === PIECES_MAX) this.fail('the answer comes in too many pieces')
    else {
      this.chunks.push(Buffer.from(chunk))
      this.look(false)
    }
  }

  onEnd(): void {
    this.look(true)
    this.fail('the connection was closed before the answer was complete')
  }

  onDrain(): void {}

  onClose(error: Error | null): void {
    this.fail(error === null ? 'the connection was closed' : error.message)
  }

  private look(ended: boolean): void {
    if (this.over) return
    const answer = readAnswer(Buffer.concat(this.chunks), ended, this.target.bodyless === true)
    if (answer === 'incomplete') return
    if (answer === 'broken') this.fail('the answer is no HTTP response')
    else {
      this.finish()
      this.resolve(answer)
    }
  }

  private fail(problem: string): void {
    if (this.over) return
    this.finish()
    const { host, port } = this.target
    this.reject(new Error(`${problem} (${host}:${port})`))
  }

  private finish(): void {
    this.over = true
    clearTimeout(this.timer!)
    this.connection!.destroy()
  }
}

function names(
  certificate: { checkHost(name: string): string | undefined; checkIP(ip: string): string | undefined } | null,
  host: string,
): boolean {
  if (certificate === null) return false
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  try {
    return (isIP(bare) === 0 ? certificate.checkHost(bare) : certificate.checkIP(bare)) !== undefined
  } catch {
    // Its list of names cannot be read.
    return false
  }
}

function readAnswer(bytes: Buffer, ended: boolean, bodyless: boolean): Fetched | 'incomplete' | 'broken' {
  const head = new ResponseHead()
  let at = 0
  do {
    head.restart()
    const used = parseResponseHead(bytes, at, bytes.length, LIMITS, head)
    if (used < 0) return 'broken'
    if (used === 0) return ended ? 'broken' : 'incomplete'
    at += used
  } while (head.code < 200)
  const body = bodyless ? Buffer.alloc(0) : bodyOf(head, bytes, at, ended)
  if (typeof body === 'string') return body
  return { status: head.code, body, field: name => head.get(name) ?? '' }
}

function bodyOf(head: ResponseHead, bytes: Buffer, at: number, ended: boolean): Buffer | 'incomplete' | 'broken' {
  if (head.code === 204 || head.code === 304) return Buffer.alloc(0)
  if (head.chunked) return unchunked(bytes, at, ended)
  if (head.contentLength === NO_LENGTH) return ended ? bytes.subarray(at) : 'incomplete'
  if (bytes.length - at >= head.contentLength) return bytes.subarray(at, at + head.contentLength)
  return ended ? 'broken' : 'incomplete'
}

function unchunked(bytes: Buffer, at: number, ended: boolean): Buffer | 'incomplete' | 'broken' {
  const parts: Buffer[] = []
  const decoder = new ChunkedDecoder('response')
  const used = decoder.feed(bytes, at, bytes.length, {
    onBody: (body, start, end) => void parts.push(body.subarray(start, end)),
  })
  if (used < 0) return 'broken'
  if (decoder.done) return Buffer.concat(parts)
  return ended ? 'broken' : 'incomplete'
}
