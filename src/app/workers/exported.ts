// What a file exports, if it is an application: as node:http calls a handler, or something that can be told to listen.
//
//   function    (req, res), Express and its kin; or (Request) => Response
//   object      with fetch(Request), handle(req, res), Koa's callback(), or listen(): a server, Fastify, Nest
//   promise     of one of those

import type http from 'node:http'
import { serveFetch, type FetchHandler } from './fetch-adapter.ts'

export type Listener = (request: http.IncomingMessage, response: http.ServerResponse) => void

export interface Exported {
  readonly handler: Listener | null
  /** For one that has no handler. */
  readonly listen: (() => unknown) | null
}

const NAMES = ['default', 'handler', 'fetch', 'app', 'server']

/** Null when there is none. */
export async function exportedBy(loaded: Record<string, unknown>): Promise<Exported | null> {
  const whole: unknown = await loaded['default']
  // What CommonJS exports under names, and what a compiler has made of `export default`, is one level further down.
  const places = [loaded, ...(isObject(whole) ? [whole] : [])]
  for (const place of places) {
    for (const name of NAMES) {
      const found = applicationIn(await place[name], name)
      if (found !== null) return found
    }
  }
  return null
}

function applicationIn(given: unknown, name: string): Exported | null {
  if (typeof given === 'function') {
    // (req, res) and (req, res, next); a fetch handler takes one, or names none at all.
    const isFetch = name === 'fetch' || given.length < 2
    return handled(isFetch ? serveFetch(given as FetchHandler) : (given as Listener))
  }
  if (!isObject(given)) return null
  const { fetch, handle, callback, listen } = given
  if (typeof fetch === 'function') return handled(serveFetch(fetch.bind(given) as FetchHandler))
  if (typeof handle === 'function') return handled(handle.bind(given) as Listener)
  if (typeof callback === 'function') return handled(callback.call(given) as Listener)
  return typeof listen === 'function' ? { handler: null, listen: () => listen.call(given, { port: 0 }) } : null
}

function handled(handler: Listener): Exported {
  return { handler, listen: null }
}

function isObject(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null
}
