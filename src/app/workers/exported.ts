// What a file exports, if it is an application: as node:http calls a handler, or something that can be told to listen.
//
//   function    (req, res), (req, res, next), Express and its kin; or (Request) => Response
//   object      with fetch(Request), handle(req, res), Koa's callback(), or listen(): a server, Fastify, Nest; hapi's with start()
//   promise     of one of those
//
// Of what looks like one and is none a line says what to export instead.

import type { Server } from 'node:http'
import { http } from './builtin-http.ts'
import { serveFetch, type FetchHandler } from './fetch-adapter.ts'
import { doubted, type Listener, withNext } from './plain-handler.ts'

export interface Exported {
  readonly handler: Listener | null
  /** What the file itself would serve with it. */
  readonly given: unknown
  /** For one that has no handler. */
  readonly listen: (() => unknown) | null
  /** What it listens with then, if it can be seen. */
  readonly server: Server | null
}

/** By these names adapters export what node:http calls, however many arguments it names. */
const PLAIN_NAMES = ['handler', 'listener', 'middleware']
const NAMES = ['default', 'handler', 'fetch', 'app', 'server', 'listener', 'middleware']

/** Text when there is none: what there is instead, for a message. */
export async function exportedBy(
  loaded: Record<string, unknown>,
  note: (note: string) => void,
): Promise<Exported | string> {
  const places: Record<string, unknown>[] = [loaded]
  const whole = loaded['default']
  // What CommonJS exports under names, and what a compiler has made of `export default`, is one level further down.
  if (isObject(whole)) places.push(isPromise(whole) ? (((await whole) ?? {}) as Record<string, unknown>) : whole)
  let refused: Refused | null = null
  for (const place of places) {
    for (const name of NAMES) {
      try {
        const given = place[name]
        const found = applicationIn(given, name, note)
        if (found !== null) return found
        if (isPromise(given)) {
          const kept = applicationIn(await given, name, note)
          if (kept !== null) return kept
        }
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        refused ??= error
      }
    }
  }
  return refused?.message ?? exportsOf(loaded)
}

/** What is wrong with what is exported, for a message. */
class Refused extends Error {}

function applicationIn(given: unknown, name: string, note: (note: string) => void): Exported | null {
  if (typeof given === 'function') return functionIn(given as Callable, name, note)
  if (!isObject(given)) return null
  const { fetch, handle, callback, handler, listen, listener, start } = given
  if (typeof fetch === 'function') return handled(serveFetch(fetch.bind(given) as FetchHandler, note), given)
  if (typeof handle === 'function') return handled(handle.bind(given) as Listener, given)
  if (typeof callback === 'function') return handled(callback.call(given) as Listener, given)
  if (typeof listen === 'function')
    return { handler: null, given, listen: () => listen.call(given, { port: 0 }), server: serverIn(given) }
  // hapi listens where it has been told when it was made.
  if (typeof start === 'function' && listener instanceof http.Server)
    return { handler: null, given, listen: () => start.call(given), server: listener }
  if (isOfH3(handler)) throw new Refused(`it exports an app of h3 as "${name}": export what toNodeListener makes of it`)
  return null
}

type Callable = Listener & { readonly fetch?: unknown; readonly handle?: unknown }

function functionIn(given: Callable, name: string, note: (note: string) => void): Exported {
  if (/^class\b/.test(textOf(given)))
    throw new Refused(`it exports a class as "${name}": export what "new" makes of it`)
  if (isOfH3(given))
    throw new Refused(`it exports an event handler of h3 as "${name}": export what toNodeListener makes of the app`)
  if (typeof given.fetch === 'function')
    return handled(serveFetch(given.fetch.bind(given) as FetchHandler, note), given)
  // Express and its kin say themselves what nobody answers.
  if (typeof given.handle === 'function') return handled(given, given)
  if (name === 'fetch') return handled(serveFetch(given as unknown as FetchHandler, note), given)
  if (takesAnything(given)) {
    if (PLAIN_NAMES.includes(name)) return handled(given, given)
    const say = 'export (req, res) => … or, for one of the Fetch standard, { fetch: request => … }'
    throw new Refused(`it exports a function as "${name}" that does not tell what it takes: ${say}`)
  }
  // A fetch handler takes one, or names none at all.
  if (given.length < 2) return handled(serveFetch(given as unknown as FetchHandler, note), given)
  return handled(given.length > 2 ? withNext(given) : doubted(given, name, note), given)
}

function handled(handler: Listener, given: unknown): Exported {
  return { handler, given, listen: null, server: null }
}

/** Fastify and Nest have theirs from the beginning. */
function serverIn(given: Record<string, unknown>): Server | null {
  const { server, getHttpServer } = given
  const made = typeof getHttpServer === 'function' ? (getHttpServer.call(given) as unknown) : null
  return [given, server, made].find(one => one instanceof http.Server) ?? null
}

/** `(...args) => …`, one that reads `arguments`, and what bind() and proxies have made of either. */
function takesAnything(given: Callable): boolean {
  if (given.length > 0) return false
  const text = textOf(given)
  return /^(?:async\b\s*)?(?:function\b[^(]*)?\(\s*\.\.\./.test(text) || /\barguments\b|\[native code\]/.test(text)
}

function textOf(given: Callable): string {
  return Function.prototype.toString.call(given)
}

function isOfH3(given: unknown): boolean {
  return typeof given === 'function' && '__is_handler__' in given
}

function isObject(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null
}

/** Not all that has `then` is one: itty's router takes that for a route, and Fastify is ready before it. */
function isPromise(given: unknown): given is PromiseLike<unknown> {
  if (given instanceof Promise) return true
  return isObject(given) && typeof given['then'] === 'function' && typeof given['fetch'] !== 'function'
}

/** '' for nothing at all. */
function exportsOf(loaded: Record<string, unknown>): string {
  const whole = loaded['default']
  const place = 'module.exports' in loaded && isObject(whole) ? whole : loaded
  const names = Object.keys(place).filter(name => name !== '__esModule')
  if (names.length === 0) return ''
  const known = names.find(name => NAMES.includes(name))
  if (known === undefined) return `it exports "${names[0]}", but none of ${NAMES.join(', ')}`
  const given = place[known]
  return isObject(given) ? `"${known}" has none of fetch, handle, callback and listen` : `"${known}" is ${typeof given}`
}
