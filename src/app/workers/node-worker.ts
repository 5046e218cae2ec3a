// What runs in a worker of a Node application: loads the user's file as `node FILE` does and serves HTTP/1.1 on the pool's Unix
// socket.
//
// The file may     listen() itself      workers/listening.ts says which of its servers gets the pool's socket
//                  export what serves   workers/exported.ts says what that may be
//
// The master is told over IPC what came of it; when that channel ends the master is gone, and so are we. It keeps nobody alive: a
// program that has nothing more to do ends as it would elsewhere.

import { createRequire, runMain } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CACHE_VARIABLE, isOwnCache } from '../../lib/own-environment.ts'
import {
  goodbyeAfter,
  NODE_LEAVE,
  NODE_QUESTION,
  WORKER_VARIABLE,
  type NodeReport,
  type NodeWorkerStart,
} from '../node-start.ts'
import { beClusterWorker, type ForkEnvironment, onClusterFork } from './cluster-worker.ts'
import { exportedBy } from './exported.ts'
import { awaitReady, beReady, whenReady } from './ready.ts'
import { explaining, Watch } from './watch.ts'
import {
  choose,
  closeAll,
  closeServer,
  isAnswering,
  isServing,
  othersListening,
  serveHandler,
  takeListen,
} from './listening.ts'

/** Status of a worker that cannot load its application, Gunicorn's number for it. */
const CANNOT_LOAD = 4
/** How long a file that exports nothing may take to listen. */
const LISTEN_MS = 30_000
/** How often a worker that leaves looks whether it has answered everything. */
const LOOK_MS = 20

const start = JSON.parse(process.env[WORKER_VARIABLE] ?? '{}') as NodeWorkerStart
delete process.env[WORKER_VARIABLE]
if (isOwnCache(process.env[CACHE_VARIABLE])) delete process.env[CACHE_VARIABLE]
/** Until it serves. */
let late: NodeJS.Timeout | null = null
/** Until it has ended, once nothing of it listens. */
let ending: NodeJS.Timeout | null = null
let failing = false
/** The application has been told, too. */
let leaving = false
/** What the file exports that is no application. */
let instead = ''
/** With which environments it forks workers of its own. */
const forked: ForkEnvironment[] = []
const watch =
  start.watch === null
    ? null
    : new Watch({
        folder: start.directory,
        files: start.watch,
        changed: file => tell({ portico: 'changed', file }),
      })

process.on('disconnect', () => process.exit(0))
answerMaster()
process.channel?.unref()
process.on('SIGTERM', leave)
// The terminal's ^C is for the master, which knows what to do about us.
process.on('SIGINT', () => {})
process.on('uncaughtException', failUncaught)
process.on('beforeExit', code => {
  if (!isServing()) endUnserved(code)
})
if (start.umask >= 0) process.umask(start.umask)
if (start.clusterId > 0) beClusterWorker(start.clusterId, closeAll)
else onClusterFork(forked, becomeWorkers)
if (start.waitReady) awaitReady()
takeListen({ path: start.path, port: start.port, serves, failed: fail, notes: note, closed: endSoon })
try {
  await load()
} catch (error) {
  fail(error)
}

function tell(report: NodeReport, then?: () => void): void {
  if (process.connected) process.send!(report, undefined, undefined, then)
  else then?.()
}

function note(what: string): void {
  tell({ portico: 'notes', note: `"${start.module}" ${what}` })
}

/** The master asks when a request has taken too long: this process hangs if it cannot answer. The application, which may listen
 *  for messages too, is told nothing of it. */
function answerMaster(): void {
  const emit = process.emit.bind(process) as (...args: any[]) => boolean
  process.emit = ((...args: any[]) => {
    const said = args[0] === 'message' ? args[1]?.portico : null
    if (said === NODE_QUESTION) tell({ portico: 'here' })
    else if (said === NODE_LEAVE) leaveWhenAnswered()
    else return emit(...args)
    return true
  }) as typeof process.emit
  // What nobody listens for is kept for later.
  process.on('message', () => {})
}

/** The file finds itself the program that runs: `require.main === module`, import.meta.main and process.argv[1] are true of it. */
async function load(): Promise<void> {
  const file = createRequire(import.meta.url).resolve(resolve(start.directory, start.module))
  process.argv.splice(1, Infinity, file, ...start.arguments)
  runMain(file)
  const loaded = requiredFrom(file) ?? ((await import(pathToFileURL(file).href)) as Record<string, unknown>)
  if (isServing()) return
  const exported = await exportedBy(loaded, note)
  if (isServing()) return
  if (typeof exported === 'string') {
    instead = exported
    late = setTimeout(() => failFor(nothingServes()), LISTEN_MS).unref()
  } else if (exported.handler !== null) serveHandler(exported.handler, exported.given)
  else {
    if (exported.server !== null) choose(exported.server)
    await exported.listen!()
  }
}

/** What `import` gives of a CommonJS file. Hooks of `require` (ts-node, @babel/register) have a say in loading the program, and none
 *  in importing it. */
function requiredFrom(file: string): Record<string, unknown> | null {
  const main = process.mainModule
  if (main?.filename !== file) return null
  const exported: unknown = main.exports
  return { default: exported, 'module.exports': exported }
}

function becomeWorkers(): never {
  tell({ portico: 'clusters', environments: forked })
  process.exit(0)
}

/** There is nothing more that it could do. Where it has set a status, it has said why itself. */
function endUnserved(code: number): void {
  if (code === 0) failFor(nothingServes())
  else if (watch !== null) failFor(`it ended with code ${code} before it served`)
}

/** Where in our own code that was found is of no interest. */
function failFor(why: string): void {
  fail(Object.assign(new Error(why), { stack: '' }))
}

function nothingServes(): string {
  const others = othersListening()
  const wanted = start.port === '' ? 'listens' : `listens on PORT ${start.port}`
  const found = [others === '' ? '' : `what listens is ${others}`, instead].filter(text => text !== '').join(', ')
  return `"${start.module}" neither exports a handler nor ${wanted}${found === '' ? '' : `: ${found}`}`
}

function serves(): void {
  if (late !== null) clearTimeout(late)
  if (ending !== null && !leaving) clearTimeout(ending)
  whenReady(() => {
    process.off('uncaughtException', failUncaught)
    tell({ portico: 'serves' })
  })
}

/** What nobody catches while it starts; afterwards it ends the process, as with `node`. */
function failUncaught(error: unknown): void {
  if (process.listenerCount('uncaughtException') === 1) fail(error)
}

function fail(error: unknown): void {
  if (failing) return
  failing = true
  // What a primary does with those it has forked is of no interest.
  if (forked.length > 0) becomeWorkers()
  const known = error instanceof Error ? error : new Error(String(error))
  const { name, message, stack = '' } = known
  const line = `cannot load "${start.module}": ${name}: ${message}${hintFor(known)}`.replaceAll(/\s*\n\s*/g, ' ')
  if (watch === null || isServing()) {
    tell({ portico: 'failed', error: line, traceback: stack }, () => process.exit(CANNOT_LOAD))
    return
  }
  beReady()
  console.error(`${line}\n${stack}`)
  watch.search()
  serveHandler(explaining(line, stack))
}

function hintFor(error: Error & { readonly code?: unknown }): string {
  const { name, code, stack = '' } = error
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') return '; with the package tsx "node_options --import=tsx" runs it'
  // Where a file cannot be parsed Node knows the place, and tells it only when nobody catches the error.
  if (name !== 'SyntaxError' || /^(?:file:|\/)/.test(stack)) return ''
  return watch === null ? `; "node ${start.module}" tells where` : `; in "${watch.last}"`
}

/** Others serve instead. What the application does at the signal is its own affair, so it comes when nobody is hurt by it. */
function leaveWhenAnswered(): void {
  // What has connected and written by now is taken in first.
  setImmediate(() => setImmediate(closeWhenAnswered))
}

function closeWhenAnswered(): void {
  if (leaving) return
  endSoon()
  closeServer(() => {})
  const latest = performance.now() + goodbyeAfter(start.gracefulTimeout)
  const timer = setInterval(() => {
    if (!leaving && isAnswering() && performance.now() < latest) return
    clearInterval(timer)
    if (!leaving) process.kill(process.pid, 'SIGTERM')
  }, LOOK_MS)
}

/**
 * Finishes what is being served; upgraded connections have until graceful_timeout. An application that listens to the signal has
 * something to do at its end, and the same time for it. What pm2 sends is SIGINT, and many listen to that alone.
 */
function leave(): void {
  const others = (name: string): number => process.listenerCount(name) - 1
  leaving = true
  const minds = others('SIGTERM') > 0 || others('SIGINT') > 0
  endSoon()
  closeServer(() => {
    if (!minds) process.exit(0)
  })
  if (others('SIGTERM') === 0 && others('SIGINT') > 0) process.emit('SIGINT', 'SIGINT')
}

/** By itself when there is nothing more to do, but not later than this. */
function endSoon(): void {
  ending = setTimeout(() => process.exit(0), start.gracefulTimeout).unref()
}
