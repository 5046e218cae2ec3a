// A handler as node:http calls one: what it is given beside the request and the response, and what it answers if it is none.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { http } from './builtin-http.ts'
import { isResponse } from './fetch-adapter.ts'

export type Listener = (request: IncomingMessage, response: ServerResponse, next?: Next) => unknown

export type Next = (error?: unknown) => void

/** Middleware: whoever it hands the request on to is not there. */
export function withNext(handler: Listener): Listener {
  return (request, response) => handler(request, response, error => nobody(request, response, error))
}

function nobody({ method }: IncomingMessage, response: ServerResponse, error: unknown): void {
  const failed = error !== undefined && error !== null
  if (failed) console.error(error)
  // Some hand on what they have answered.
  if (response.headersSent) {
    if (failed) response.destroy()
    return
  }
  const status = failed ? statusOf(error) : 404
  const text = `${http.STATUS_CODES[status] ?? 'Error'}\n`
  response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': text.length })
  response.end(method === 'HEAD' ? undefined : text)
}

/** As libraries for errors say it. */
function statusOf(error: unknown): number {
  const { status, statusCode } = error as { readonly status?: unknown; readonly statusCode?: unknown }
  const said = Number(status ?? statusCode)
  return Number.isInteger(said) && said >= 400 && said < 600 ? said : 500
}

/** Two parameters may be those of the Fetch standard's kin, (request, context), which nobody can see: until it has answered
 *  as node:http has it, who runs it is told what else it may be. */
export function doubted(handler: Listener, name: string, note: (note: string) => void): Listener {
  let isPlain = false
  const tell = (): void => {
    const how = `exports a function of two parameters as "${name}", which is called as (req, res)`
    note(`${how}: one that takes a Request and gives a Response is exported as "fetch", or in an object that has it`)
  }
  const settle = (answer: unknown, response: ServerResponse): void => {
    if (response.headersSent) isPlain = true
    else if (isResponse(answer)) {
      tell()
      response.writeHead(500, { 'Content-Length': 0 }).end()
    }
  }
  const failed = (error: unknown): never => {
    if (error instanceof TypeError) tell()
    throw error
  }
  return (request, response) => {
    if (isPlain) {
      handler(request, response)
      return
    }
    let answer: unknown
    try {
      answer = handler(request, response)
    } catch (error) {
      failed(error)
    }
    if (answer instanceof Promise) answer.then(given => settle(given, response), failed)
    else settle(answer, response)
  }
}
