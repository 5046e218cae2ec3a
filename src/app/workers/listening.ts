// Which of the application's servers gets the pool's socket: the first of node:http that listens, or with PORT in the `app` block
// the first that asks for that port. All others (metrics, redirections) get what they ask for, and share it with those of the
// other workers, as they would under node:cluster.

import http from 'node:http'
import net from 'node:net'
import { type Listener } from './exported.ts'
import { tellClients } from './client-address.ts'

export interface ListeningOptions {
  /** The pool's socket. */
  readonly path: string
  /** '' for any. */
  readonly port: string
  readonly serves: () => void
  readonly failed: (error: unknown) => void
  /** The application has closed its server. */
  readonly closed: () => void
}

/** As many as the kernel allows: one that finds no room would be refused at once. */
const BACKLOG = 65535

/** Nobody but the application itself asks for connections' ends: it would meet requests that are on their way. */
const HELD = ['keepAliveTimeout', 'maxRequestsPerSocket'] as const

type Listen = (...args: any[]) => net.Server

let options: ListeningOptions
let server: http.Server | null = null
/** The server made for the handler that the file exports. */
let own: { readonly server: http.Server; readonly handler: Listener } | null = null
let leaving = false
/** What listens elsewhere, for messages. */
const others: string[] = []
const prototype = net.Server.prototype as { listen: Listen }
const listen = prototype.listen

/** From now on servers that listen go through here. */
export function takeListen(wanted: ListeningOptions): void {
  options = wanted
  prototype.listen = function (this: net.Server, ...args: any[]): net.Server {
    if (this instanceof http.Server && server === null && isWanted(args)) return take(this, callbackOf(args))
    if (this instanceof http.Server && own !== null && this.listeners('request').includes(own.handler)) {
      return succeed(this, own.server, callbackOf(args))
    }
    others.push(nameOf(this, args))
    return listen.apply(this, sharing(args))
  }
}

/** Serves what the file exports. */
export function serveHandler(handler: Listener): void {
  own = { server: http.createServer(handler), handler }
  take(own.server, undefined)
}

export function isServing(): boolean {
  return server !== null
}

/** For a message: what else listens. */
export function othersListening(): string {
  return others.join(', ')
}

function isWanted(args: readonly any[]): boolean {
  return options.port === '' || portOf(args) === options.port
}

function take(made: http.Server, callback: (() => void) | undefined): net.Server {
  server = made
  prepare(made)
  tellClients(made)
  made.once('error', options.failed)
  return listen.call(made, { path: options.path, backlog: BACKLOG, exclusive: true }, () => {
    made.off('error', options.failed)
    made.once('close', () => {
      if (!leaving) options.closed()
    })
    options.serves()
    callback?.call(made)
  })
}

/** A file that exports its handler may listen with it after all, once it has what it needs: that server is given the requests of
 *  ours, and opens no socket. */
function succeed(made: http.Server, before: http.Server, callback: (() => void) | undefined): net.Server {
  own = null
  for (const name of ['request', 'upgrade']) {
    before.removeAllListeners(name)
    if (made.listenerCount(name) > 0) before.on(name, (...args: unknown[]) => made.emit(name, ...args))
  }
  made.address = () => before.address()
  made.close = done => {
    before.close(done)
    return made
  }
  Object.defineProperty(made, 'listening', { get: () => before.listening })
  before.once('close', () => made.emit('close'))
  if (callback !== undefined) made.once('listening', callback)
  setImmediate(() => made.emit('listening'))
  return made
}

/** The front keeps its connections and times its requests: what node:http does about slow clients must not interfere. */
function prepare(made: http.Server): void {
  made.requestTimeout = 0
  made.headersTimeout = 0
  made.timeout = 0
  for (const name of HELD) Object.defineProperty(made, name, { get: () => 0, set() {} })
  const close = made.close.bind(made)
  // That we have closed it already is none of the application's business.
  made.close = done => close(done === undefined ? undefined : error => done(leaving ? undefined : error))
}

/** Takes no new connections and finishes what is served; `done` after that. */
export function closeServer(done: () => void): void {
  leaving = true
  if (server === null) return done()
  server.close(done)
  server.closeIdleConnections()
}

// ── what listen() was asked ──────────────────────────────────────────────────────────────────────────────────────────

function callbackOf(args: readonly any[]): (() => void) | undefined {
  return args.findLast(arg => typeof arg === 'function')
}

/** '' when it is none: a path, a handle. */
function portOf([first]: readonly any[]): string {
  const port = typeof first === 'object' && first !== null ? first.port : first
  return typeof port === 'number' || (typeof port === 'string' && /^\d+$/.test(port)) ? String(Number(port)) : ''
}

/** The arguments for a port that other workers listen on too. */
function sharing(args: any[]): any[] {
  const port = portOf(args)
  if (port === '' || port === '0' || process.platform !== 'linux') return args
  const [first, second, third] = args
  const callback = callbackOf(args)
  const asked =
    typeof first === 'object'
      ? first
      : { port: Number(port), host: typeof second === 'string' ? second : undefined, backlog: backlogOf(second, third) }
  return [{ reusePort: true, ...asked, exclusive: true }, ...(callback === undefined ? [] : [callback])]
}

function backlogOf(...args: readonly unknown[]): number | undefined {
  return args.find(arg => typeof arg === 'number')
}

function nameOf(made: net.Server, args: readonly any[]): string {
  const where = portOf(args) || 'no port'
  return made instanceof http.Server ? where : `${where} (${made.constructor.name} not of node:http)`
}
