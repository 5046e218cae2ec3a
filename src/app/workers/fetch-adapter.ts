// A handler of the Fetch standard as node:http calls one: bodies stream both ways, and a client that leaves aborts the
// request's signal.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { CLIENT_FIELD } from '../node-start.ts'

/** The second argument is what Hono's server for Node gives its applications, which find the connection there. */
export type FetchHandler = (request: Request, bindings: FetchBindings) => unknown

export interface FetchBindings {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

/** @param note tells whoever runs it what is wrong with it */
export function serveFetch(
  handler: FetchHandler,
  note: (note: string) => void,
): (message: IncomingMessage, response: ServerResponse) => void {
  return (message, response) => void serve(handler, message, response, note)
}

const NO_WEBSOCKETS =
  'exports a fetch handler that was asked for a websocket, and has none in Node: let the file listen itself, with a server of ' +
  'node:http that its websockets (of the package ws, or @hono/node-ws) are attached to'

async function serve(
  handler: FetchHandler,
  message: IncomingMessage,
  response: ServerResponse,
  note: (note: string) => void,
): Promise<void> {
  const left = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) left.abort()
  })
  response.once('finish', () => discardRest(message))
  const request = requestOf(message, left.signal)
  if (request === null) return void response.writeHead(400).end()
  try {
    const bindings = { incoming: message, outgoing: response }
    const answer = await handler(request, bindings)
    if (!isResponse(answer)) throw new TypeError(complaint(answer))
    // Adapters for Node answer with nothing, and expect that the connection has been taken by then.
    if (asksForWebSocket(message) && answer.status < 300 && answer.body === null) note(NO_WEBSOCKETS)
    // Node's own Response cannot have that status.
    if (answer.status === 101) response.writeHead(501, { 'Content-Length': 0 }).end()
    else await send(answer, response, message.method === 'HEAD')
  } catch (error) {
    if (left.signal.aborted) return
    if (asksForWebSocket(message)) note(NO_WEBSOCKETS)
    console.error(error)
    if (response.headersSent) response.destroy()
    else response.writeHead(500).end()
  }
}

function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade !== undefined && headers.upgrade.toLowerCase() === 'websocket'
}

/**
 * Whoever sends a body must get rid of it before the answer is heard everywhere. node:http does this only for messages that
 * nobody reads, and a Request reads ahead.
 */
function discardRest(message: IncomingMessage): void {
  if (message.readableEnded) return
  message.removeAllListeners('data')
  message.resume()
}

/** What it may be instead of a fetch handler. */
function complaint(answer: unknown): string {
  const hint =
    typeof answer === 'function' || (typeof answer === 'object' && answer !== null)
      ? '; a function that makes the application is not called: export what it makes'
      : answer === undefined
        ? '; a handler of node:http has two parameters, (req, res)'
        : ''
  return `the handler answered ${typeof answer} instead of a Response${hint}`
}

/** Libraries bring classes of their own, and replace the global one while others still make the old. */
export function isResponse(answer: unknown): answer is Response {
  if (answer instanceof Response) return true
  const { headers, status } = (answer ?? {}) as Partial<Response>
  return typeof status === 'number' && typeof headers === 'object' && Symbol.iterator in headers
}

/** Null for what no Request can be made of: a host that is none, a method that the standard forbids. */
function requestOf(message: IncomingMessage, signal: AbortSignal): Request | null {
  const headers = new Headers()
  const { rawHeaders } = message
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i] !== CLIENT_FIELD) headers.append(rawHeaders[i]!, rawHeaders[i + 1]!)
  }
  const scheme = headers.get('x-forwarded-proto') === 'https' ? 'https' : 'http'
  const target = message.url ?? '/'
  // `OPTIONS *` asks about no path in particular.
  const path = target === '*' ? '' : target
  const url = /^(?:\/|$)/.test(path) ? `${scheme}://${headers.get('host') ?? 'localhost'}${path}` : path
  const method = message.method ?? 'GET'
  const bodiless = method === 'GET' || method === 'HEAD'
  if (!URL.canParse(url)) return null
  const body = bodiless ? {} : { body: Readable.toWeb(message), duplex: 'half' as const }
  try {
    const request: Request & { ip?: string | undefined } = new Request(url, { method, headers, signal, ...body })
    // Where h3 and others that run on srvx look for the client.
    request.ip = message.socket.remoteAddress
    return request
  } catch {
    return null
  }
}

const NO_BYTES = new Uint8Array(0)

async function send(answer: Response, response: ServerResponse, bodiless: boolean): Promise<void> {
  const fields: string[] = []
  // Set-Cookie comes once for each cookie, which is how it must go out.
  for (const [name, value] of answer.headers) fields.push(name, value)
  // Without it node:http would send an empty body in chunks.
  const hasNone = answer.body === null && !bodiless && answer.status !== 204 && answer.status !== 304
  if (hasNone && !answer.headers.has('content-length')) fields.push('Content-Length', '0')
  if (answer.body === null || bodiless) {
    writeHead(answer, response, fields)
    response.end()
    await answer.body?.cancel()
    return
  }
  const reader = answer.body.getReader()
  response.once('close', () => {
    if (!response.writableFinished) reader.cancel().catch(() => {})
  })
  let next = reader.read()
  const first = await Promise.race([next, turn()])
  const begins = first !== null && !first.done
  if (begins) next = reader.read()
  const second = begins ? await Promise.race([next, turn()]) : first
  if (second !== null && second.done) {
    const bytes: unknown = begins ? first.value : NO_BYTES
    if (bytes instanceof Uint8Array && !answer.headers.has('content-length'))
      fields.push('Content-Length', `${bytes.byteLength}`)
    writeHead(answer, response, fields)
    return void response.end(bytes)
  }
  writeHead(answer, response, fields)
  // The first event may be long in coming.
  if (!begins) response.flushHeaders()
  else if (!response.write(first.value)) await drained(response)
  for (let part = await next; !part.done; part = await reader.read()) {
    if (response.destroyed) return
    if (!response.write(part.value)) await drained(response)
  }
  response.end()
}

/** A body that is all there by then goes out in one piece, with its length; what comes piece by piece is not waited for. */
function turn(): Promise<null> {
  return new Promise(resolve => setImmediate(resolve, null))
}

function writeHead(answer: Response, response: ServerResponse, fields: string[]): void {
  if (answer.statusText === '') response.writeHead(answer.status, fields)
  else response.writeHead(answer.status, answer.statusText, fields)
}

/** The client can take more, or has left. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const go = (): void => {
      response.off('drain', go)
      response.off('close', go)
      resolve()
    }
    response.once('drain', go)
    response.once('close', go)
  })
}
