// What runs in a worker of a Node application: loads the user's file and serves HTTP/1.1 on the pool's Unix socket.
//
// The file may     listen() itself      the first server that listens does so on our socket, whatever it asked for
//                  export a function    (req, res), Express and its kin; or (Request) => Response
//                  export an object     with fetch(Request), or handle(req, res), or Koa's callback()
//
// The master is told over IPC what came of it; when that channel ends the master is gone, and so are we.

import http from 'node:http'
import net from 'node:net'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { WORKER_VARIABLE, type NodeWorkerStart } from '../node-start.ts'
import { serveFetch } from './fetch-adapter.ts'

/** Status of a worker that cannot load its application, Gunicorn's number for it. */
const CANNOT_LOAD = 4
/** How long a file that exports nothing may take to listen. */
const LISTEN_MS = 30_000

type Listener = (request: http.IncomingMessage, response: http.ServerResponse) => void

const start = JSON.parse(process.env[WORKER_VARIABLE] ?? '{}') as NodeWorkerStart
delete process.env[WORKER_VARIABLE]
let server: net.Server | null = null

process.on('disconnect', () => process.exit(0))
// The master asks when a request has taken too long: this process hangs if it cannot answer.
process.on('message', message => {
  if ((message as { command?: string } | null)?.command === 'there?') process.send!({ event: 'here' })
})
process.on('SIGTERM', leave)
// The terminal's ^C is for the master, which knows what to do about us.
process.on('SIGINT', () => {})
if (start.umask >= 0) process.umask(start.umask)
takeListen()
try {
  await load()
} catch (error) {
  fail(error)
}

async function load(): Promise<void> {
  const loaded = (await import(pathToFileURL(resolve(start.directory, start.module)).href)) as Record<string, unknown>
  if (server !== null) return
  const listener = listenerOf(loaded)
  if (listener !== null) http.createServer(listener).listen()
  else {
    const late = setTimeout(() => {
      if (server === null) fail(new Error(`"${start.module}" neither exports a handler nor listens`))
    }, LISTEN_MS)
    late.unref()
  }
}

/** The exports' handler as node:http calls it; null when there is none. */
function listenerOf(loaded: Record<string, unknown>): Listener | null {
  const given = loaded['default'] ?? loaded['handler'] ?? loaded['fetch'] ?? null
  if (typeof given === 'function') {
    // (req, res) and (req, res, next); a fetch handler takes one, or names none at all.
    return given.length >= 2 ? (given as Listener) : serveFetch(given as (request: Request) => unknown)
  }
  if (typeof given !== 'object' || given === null) return null
  const object = given as Record<string, unknown>
  if (typeof object['fetch'] === 'function')
    return serveFetch(object['fetch'].bind(object) as (request: Request) => unknown)
  if (typeof object['handle'] === 'function') return object['handle'].bind(object) as Listener
  if (typeof object['callback'] === 'function') return (object['callback'] as () => Listener).call(object)
  return null
}

/** The first server to listen gets our socket; those after it, what they ask for. */
function takeListen(): void {
  const prototype = net.Server.prototype as { listen: (...args: any[]) => net.Server }
  const listen = prototype.listen
  prototype.listen = function (this: net.Server, ...args: any[]): net.Server {
    if (server !== null) return listen.apply(this, args)
    take(this)
    const callback = args.findLast(arg => typeof arg === 'function') as (() => void) | undefined
    this.once('error', fail)
    return listen.call(this, { path: start.path }, () => {
      process.send!({ event: 'worker' })
      callback?.call(this)
    })
  }
}

function take(made: net.Server): void {
  server = made
  prepare(made)
}

/** The front keeps its connections and times its requests: what node:http does about slow clients must not interfere. */
function prepare(made: net.Server): void {
  if (!(made instanceof http.Server)) return
  made.keepAliveTimeout = 0
  made.requestTimeout = 0
  made.headersTimeout = 0
  made.timeout = 0
  made.maxRequestsPerSocket = 0
}

function fail(error: unknown): void {
  const known = error instanceof Error ? error : new Error(String(error))
  const { name, message, stack = '' } = known
  // Where a file cannot be parsed Node knows the place, and tells it only when nobody catches the error.
  const hint = name === 'SyntaxError' && !/file:|^\//m.test(stack) ? `; "node ${start.module}" tells where` : ''
  const line = `cannot load "${start.module}": ${name}: ${message}${hint}`.replaceAll(/\s*\n\s*/g, ' ')
  const done = (): never => process.exit(CANNOT_LOAD)
  process.send!({ event: 'failed', error: line, traceback: stack }, done)
}

/** Finishes what is being served; upgraded connections have until graceful_timeout. */
function leave(): void {
  if (server === null) process.exit(0)
  setTimeout(() => process.exit(0), start.gracefulTimeout).unref()
  server.close(() => process.exit(0))
  if (server instanceof http.Server) server.closeIdleConnections()
}
