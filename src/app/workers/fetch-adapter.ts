// A handler of the Fetch standard as node:http calls one: bodies stream both ways, and a client that leaves aborts the
// request's signal.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

export type FetchHandler = (request: Request) => unknown

export function serveFetch(handler: FetchHandler): (message: IncomingMessage, response: ServerResponse) => void {
  return (message, response) => void serve(handler, message, response)
}

async function serve(handler: FetchHandler, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const left = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) left.abort()
  })
  try {
    const answer = await handler(requestOf(message, left.signal))
    if (!(answer instanceof Response))
      throw new TypeError(`the handler answered ${typeof answer} instead of a Response`)
    await send(answer, response, message.method === 'HEAD')
  } catch (error) {
    if (left.signal.aborted) return
    console.error(error)
    if (response.headersSent) response.destroy()
    else response.writeHead(500).end()
  }
}

function requestOf(message: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers()
  const { rawHeaders } = message
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.append(rawHeaders[i]!, rawHeaders[i + 1]!)
  const scheme = headers.get('x-forwarded-proto') === 'https' ? 'https' : 'http'
  const target = message.url ?? '/'
  const url = target.startsWith('/') ? `${scheme}://${headers.get('host') ?? 'localhost'}${target}` : target
  const method = message.method ?? 'GET'
  const bodiless = method === 'GET' || method === 'HEAD'
  return new Request(url, {
    method,
    headers,
    signal,
    ...(bodiless ? {} : { body: Readable.toWeb(message), duplex: 'half' }),
  })
}

async function send(answer: Response, response: ServerResponse, bodiless: boolean): Promise<void> {
  const fields: string[] = []
  // Set-Cookie comes once for each cookie, which is how it must go out.
  for (const [name, value] of answer.headers) fields.push(name, value)
  // Without it node:http would send an empty body in chunks.
  const hasNone = answer.body === null && !bodiless && answer.status !== 204 && answer.status !== 304
  if (hasNone && !answer.headers.has('content-length')) fields.push('Content-Length', '0')
  if (answer.statusText === '') response.writeHead(answer.status, fields)
  else response.writeHead(answer.status, answer.statusText, fields)
  if (answer.body === null || bodiless) {
    response.end()
    await answer.body?.cancel()
    return
  }
  const reader = answer.body.getReader()
  response.once('close', () => {
    if (!response.writableFinished) reader.cancel().catch(() => {})
  })
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (response.destroyed) return
    if (!response.write(part.value)) await drained(response)
  }
  response.end()
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
