// Which of the application's servers gets the pool's socket: the first of node:http that listens, or with PORT in the `app` block
// the first that asks for that port. All others (metrics, redirections) get what they ask for, and share it with those of the
// other workers, as they would under node:cluster.

import { errorMonitor } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import net from 'node:net'
import { http } from './builtin-http.ts'
import type { Listener } from './plain-handler.ts'
import { tellClients } from './client-address.ts'
import { answerLast } from './last-answers.ts'
import { linkTo, pathAsked } from './own-path.ts'
import { addressOf, type Asked, askedOf, callbackOf, connectHome, isTwin, keepOwnDoor, placeOf } from './own-address.ts'

export interface ListeningOptions {
  /** The pool's socket. */
  readonly path: string
  /** '' for any. */
  readonly port: string
  /** Again, when the application has closed its server and listens anew. */
  readonly serves: () => void
  readonly failed: (error: unknown) => void
  /** What listens may not be what was meant. */
  readonly notes: (note: string) => void
  /** The application has closed its server. */
  readonly closed: () => void
}

/** As many as the kernel allows: one that finds no room would be refused at once. */
const BACKLOG = 65535

/** Nobody but the application itself asks for connections' ends: it would meet requests that are on their way. */
const HELD = ['keepAliveTimeout', 'maxRequestsPerSocket'] as const

type Listen = (...args: any[]) => net.Server

type Answer = ServerResponse & { readonly _header?: string | null }

let options: ListeningOptions
let server: Server | null = null
/** What it was asked to listen on. */
let home: Asked = { port: '', host: '' }
/** Where it is, as the program finds it. */
let place = home
/** The server that the file exports. */
let chosen: Server | null = null
/** The server made for the handler that the file exports. */
let own: { readonly server: Server; readonly given: unknown } | null = null
let leaving = false
/** All that have ever had the pool's socket. */
const taken = new WeakSet<Server>()
/** With what node:http is answering there; nothing between requests and after an upgrade. */
const sockets = new Set<net.Socket & { readonly _httpMessage?: Answer | null }>()
const EVENTS = /^content-type: *text\/event-stream/im
/** What listens elsewhere, with its name for messages. */
const others = new Map<net.Server, string>()
const watched = new WeakSet<net.Server>()
const prototype = net.Server.prototype as { listen: Listen }
const listen = prototype.listen

/** From now on servers that listen go through here. */
export function takeListen(wanted: ListeningOptions): void {
  options = wanted
  prototype.listen = function (this: net.Server, ...args: any[]): net.Server {
    const asked = askedOf(args)
    const path = pathAsked(args[0])
    const isNext = server === null ? this === chosen || isWanted(asked) : isSuccessor(asked)
    if (this instanceof http.Server && isNext) return takeAt(path, this, asked, callbackOf(args))
    // A free port that it asks for besides is for asking itself, as tests do.
    const isOwn = own !== null && (asked.port !== '' || path !== '')
    if (this instanceof http.Server && isOwn && this.listeners('request').some(one => one === own!.given)) {
      succeed(this, own!.server)
      beAt(path, this, asked)
      return sayListening(this, callbackOf(args))
    }
    if (this instanceof http.Server && isTwin(place, asked)) return standBy(this, asked, callbackOf(args))
    others.set(this, nameOf(this, asked))
    if (!watched.has(this)) watch(this)
    noteOther(this, asked)
    return listen.apply(this, sharing(args, asked))
  }
}

/** Serves what the file exports; `given` as it stands there. */
export function serveHandler(handler: Listener, given: unknown = handler): void {
  own = { server: http.createServer(handler), given }
  take(own.server, undefined)
}

/** This one is the application, wherever it asks to be. */
export function choose(made: Server): void {
  chosen = made
}

export function isServing(): boolean {
  return server !== null
}

/** For a message: what else listens. */
export function othersListening(): string {
  return [...others.values()].join(', ')
}

/** A PORT that is none (0, a path) says nothing. */
function isWanted({ port }: Asked): boolean {
  const wanted = askedOf([options.port]).port
  return wanted === '' || port === wanted
}

/** Programs that are set up in a browser, or say that they are coming, close that server and listen anew. */
function isSuccessor({ port }: Asked): boolean {
  return !leaving && own === null && !server!.listening && (home.port === '' || port === home.port)
}

/** @param path '' where it asked for none */
function takeAt(path: string, made: Server, asked: Asked, callback: (() => void) | undefined): net.Server {
  take(made, callback)
  beAt(path, made, asked)
  return made
}

function take(made: Server, callback: (() => void) | undefined): net.Server {
  server = made
  if (!taken.has(made)) adopt(made)
  made.once('error', options.failed)
  return listen.call(made, { path: options.path, backlog: BACKLOG, exclusive: true }, () => {
    made.off('error', options.failed)
    made.once('close', () => {
      if (!leaving && made === server) options.closed()
    })
    options.serves()
    callback?.call(made)
  })
}

function adopt(made: Server): void {
  taken.add(made)
  prepare(made)
  tellClients(made)
  follow(made)
}

/** Some look for a free port with one server after the other, or try again and again with the same. */
function watch(other: net.Server): void {
  watched.add(other)
  other.on('close', () => others.delete(other))
  other.on(errorMonitor, () => {
    if (!other.listening) others.delete(other)
  })
}

/** All that are open. */
function follow(made: Server): void {
  made.on('connection', (socket: net.Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
}

/** It is at the address it asked for, for all the program can tell. */
function beAt(path: string, made: Server, asked: Asked): void {
  const found = placeOf(asked)
  const address = made.address.bind(made)
  made.address = () => (address() === null ? null : path === '' ? addressOf(found) : path)
  if (path !== '') return linkTo(options.path, path)
  home = asked
  place = found
  connectHome(found, options.path)
}

/** A file that exports its handler may listen with it after all, once it has what it needs: that server is given the requests of
 *  ours, and opens no socket. */
function succeed(made: Server, before: Server): void {
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
}

/** The same application at a further address of "localhost": all requests come to the one that was first. */
function standBy(made: Server, asked: Asked, callback: (() => void) | undefined): net.Server {
  let listening = true
  made.address = () => (listening ? addressOf(asked) : null)
  made.close = done => {
    if (done !== undefined) made.once('close', done)
    listening = false
    setImmediate(() => made.emit('close'))
    return made
  }
  Object.defineProperty(made, 'listening', { get: () => listening })
  return sayListening(made, callback)
}

function sayListening(made: Server, callback: (() => void) | undefined): net.Server {
  if (callback !== undefined) made.once('listening', callback)
  setImmediate(() => made.emit('listening'))
  return made
}

/** The front keeps its connections and times its requests: what node:http does about slow clients must not interfere. */
function prepare(made: Server): void {
  made.requestTimeout = 0
  made.headersTimeout = 0
  made.timeout = 0
  for (const name of HELD) Object.defineProperty(made, name, { get: () => 0, set() {} })
  const close = made.close.bind(made)
  made.close = done => {
    if (made.listening) answerLast(made, answers())
    // That we have closed it already is none of the application's business.
    return close(done === undefined ? undefined : error => done(leaving ? undefined : error))
  }
}

/** What is being answered. */
function* answers(): Generator<Answer> {
  for (const { _httpMessage: answer } of sockets) if (answer) yield answer
}

/** Is there a request whose answer will end by itself? Those of events do not. */
export function isAnswering(): boolean {
  for (const answer of answers()) if (!EVENTS.test(answer._header ?? '')) return true
  return false
}

/** Takes no new connections and finishes what is served; `done` after that. */
export function closeServer(done: () => void): void {
  if (server === null) return done()
  if (!leaving) keepOwnDoor(server)
  leaving = true
  server.close(done)
  server.closeIdleConnections()
}

/** Closes whatever listens, as the application itself would; `done` when all that was open has gone. */
export function closeAll(done: () => void): void {
  const open = [...(server === null ? [] : [server]), ...others.keys()].filter(one => one.listening)
  let left = open.length
  if (left === 0) setImmediate(done)
  for (const one of open) one.close(() => --left === 0 && done())
}

// ── what listen() was asked ──────────────────────────────────────────────────────────────────────────────────────────

/** The arguments for a port that other workers listen on too. */
function sharing(args: any[], { port }: Asked): any[] {
  if (port === '' || process.platform !== 'linux') return args
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

function nameOf(made: net.Server, { port }: Asked): string {
  const where = port || 'no port'
  return made instanceof http.Server ? where : `${where} (${speechOf(made) || 'not of node:http'})`
}

/** Of what is an application elsewhere, but speaks otherwise than workers do; '' for anything else. */
function speechOf(made: net.Server): string {
  if (made.constructor.name.startsWith('Http2')) return 'HTTP/2'
  return 'setSecureContext' in made ? 'TLS' : ''
}

/** Whoever deploys it should not have to find out by what clients get. */
function noteOther(made: net.Server, asked: Asked): void {
  const { port } = asked
  const speech = speechOf(made)
  if (server === null && speech !== '')
    options.notes(`listens with ${speech} on ${port}: it gets no requests, workers are asked in plain HTTP/1.1`)
  else if (made instanceof http.Server && server !== null && own === null && options.port === '' && port !== '') {
    const first = home.port === '' ? 'a free port' : `port ${home.port}`
    const hint = `with PORT=${port} in its environment they go to the second`
    options.notes(`listens on ${first} and on port ${port}: requests go to the first; ${hint}`)
  }
}
