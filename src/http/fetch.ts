// A request of our own to some other server: one connection, one answer, all of it in memory. For what is asked now and then
// (OCSP responders, authorities that issue certificates), not for traffic.

import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { ChunkedDecoder } from '../codec/h1/chunked.ts'
import { NO_LENGTH, type HeadLimits } from '../codec/h1/head.ts'
import { parseResponseHead, ResponseHead } from '../codec/h1/response-head.ts'
import { errorText } from '../lib/errno.ts'
import { connect, type Connection, type ConnectionHandler } from '../net/connection.ts'
import type { TlsContext } from '../net/openssl/context.ts'
import { connectTls } from '../net/tls.ts'
import { codeText } from '../upstream/resolution.ts'
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
  const bare = unbracketed(target.host)
  // What is no address, and for which there is no resolver, is looked up by the system as it connects.
  const [first] = target.resolver === null ? [bare] : await resolved(target, target.resolver)
  return fetchFrom(target, first!, request)
}

/** As fetchOnce(), from one of the host's addresses. Rejects with a FetchError. */
export function fetchFrom(target: FetchTarget, address: string, request: Buffer): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(target, request, resolve, reject)
    exchange.start(address)
  })
}

/** All addresses of a host, at least one. */
export async function addressesOf(target: FetchTarget): Promise<readonly string[]> {
  const bare = unbracketed(target.host)
  if (isIP(bare) !== 0) return [bare]
  if (target.resolver !== null) return resolved(target, target.resolver)
  return (await lookup(bare, { all: true })).map(({ address }) => address)
}

function resolved({ host, timeoutMs }: FetchTarget, by: LocationResolver): Promise<readonly string[]> {
  const bare = unbracketed(host)
  if (isIP(bare) !== 0) return Promise.resolve([bare])
  return new Promise((resolve, reject) => {
    by.resolver.resolve(bare, by.timeoutMs === 0 ? timeoutMs : by.timeoutMs, ({ code, addresses }) => {
      if (code === 0 && addresses.length > 0) resolve(addresses)
      else reject(new Error(`${bare} could not be resolved (${codeText(code)})`))
    })
  })
}

function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}

/** Why one address had no answer. */
export class FetchError extends Error {
  readonly problem: Problem
  /** `connect() failed (111: Connection refused)`, of 'broken' alone. */
  readonly detail: string

  constructor(problem: Problem, message: string, detail: string) {
    super(message)
    this.problem = problem
    this.detail = detail
  }
}

/** The time was over, the connection closed too early, it broke, the answer is none, or it cannot be taken. */
export type Problem = 'timed out' | 'closed' | 'broken' | 'invalid' | 'refused'

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
    this.timer = setTimeout(() => this.fail('timed out', 'timed out'), timeoutMs)
    this.connection = connect({ host, port }, this, () => {
      if (tls === null) this.ask()
      else this.secure(tls)
    })
  }

  private secure(context: TlsContext): void {
    const { host, verifies } = this.target
    const name = isIP(unbracketed(host)) === 0 ? host : ''
    const connection = connectTls(this.connection!, context, name, null, this, () => {
      const fault = connection.verifyFault
      if (verifies && fault !== null) this.fail('refused', `certificate verify error: (${fault.code}:${fault.reason})`)
      else if (verifies && !names(connection.peerCertificate, host))
        this.fail('refused', `certificate does not match "${host}"`)
      else this.ask()
    })
    this.connection = connection
  }

  private ask(): void {
    this.connection!.write(this.request)
  }

  onData(chunk: Buffer): void {
    this.size += chunk.length
    if (this.size > ANSWER_MAX) this.fail('invalid', 'the answer is too large')
    else if (this.chunks.length === PIECES_MAX) this.fail('invalid', 'the answer comes in too many pieces')
    else {
      this.chunks.push(Buffer.from(chunk))
      this.look(false)
    }
  }

  onEnd(): void {
    this.look(true)
    this.fail('closed', 'the connection was closed before the answer was complete')
  }

  onDrain(): void {}

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error === null) {
      this.fail('closed', 'the connection was closed')
      return
    }
    // A refusal is found by reading, in nginx.
    const call = error.syscall === 'connect' && error.code !== 'ECONNREFUSED' ? 'connect' : 'recv'
    this.fail('broken', error.message, `${call}() failed (${errorText(error)})`)
  }

  private look(ended: boolean): void {
    if (this.over) return
    const answer = readAnswer(Buffer.concat(this.chunks), ended, this.target.bodyless === true)
    if (answer === 'incomplete') return
    if (answer === 'broken') this.fail(ended ? 'closed' : 'invalid', 'the answer is no HTTP response')
    else {
      this.finish()
      this.resolve(answer)
    }
  }

  private fail(problem: Problem, message: string, detail = ''): void {
    if (this.over) return
    this.finish()
    const { host, port } = this.target
    this.reject(new FetchError(problem, `${message} (${host}:${port})`, detail))
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
  const bare = unbracketed(host)
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
