// `app NAME { … }`: an application this server runs itself. The block becomes AppSettings: the master keeps the workers
// (app/pool), each front thread has a Dispatcher for them, and app_pass finds it by name.

import { type Stats, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import type { AppKind, AppNotice, AppRequest, AppSettings, TaskSettings } from '../../app/app.ts'
import { APP_TOPIC, isTaskApp, SOCKET_VARIABLE, SPARE_WORKERS } from '../../app/app.ts'
import { Dispatcher } from '../../app/dispatch/dispatcher.ts'
import { COUNT_MASK, SEATS_MAX, SeatTable } from '../../app/dispatch/seats.ts'
import { APP, HTTP, type Conf, type Site } from '../../config/directive.ts'
import { parseNumber, parseTime } from '../../config/units.ts'
import { block, flag, list, number, oneOf, path, size, str, time } from '../../config/values.ts'
import { processors } from '../../lib/processors.ts'
import { Application, APPLICATIONS } from '../app/application.ts'
import { parseSticky, type StickinessMaker } from '../app/sticky.ts'
import { httpModule } from '../module.ts'
import type { HttpSetup, ThreadServices } from '../setup.ts'

const KINDS = ['sync', 'threads', 'gevent', 'asgi', 'node'] as const satisfies readonly AppKind[]
const WORKERS_MAX = 1024
/** For each worker another may be on its way in or out. */
const GENERATION = 2
/** Each has a socket to the process that hands tasks out. */
const TASK_THREADS_MAX = 256

/** Longer requests gain nothing by it. */
const PREFETCH_MS = 2

const NO_WORDS: readonly string[] = []

const inside = {
  directory: path(APP, null),
  module: str(APP, null),
  arguments: { in: APP, args: [1, Infinity] as const, default: NO_WORDS, parse: parseArguments },
  node_options: { in: APP, args: [1, Infinity] as const, default: NO_WORDS, parse: parseNodeOptions },
  wait_ready: flag(APP, false),
  paste_global: list(APP, [2, 2], ([name, value]) => [bytesToText(name!), bytesToText(value!)] as const),
  kind: oneOf(APP, KINDS, null),
  workers: { in: APP, args: [1, 1] as const, default: fixed(autoWorkers()), parse: parseWorkers },
  threads: number(APP, 1, 1, SEATS_MAX),
  worker_connections: number(APP, 1000, 1, COUNT_MASK),
  lifespan_state: oneOf(APP, ['copy', 'shared'], 'copy'),
  wsgi_errors: oneOf(APP, ['log', 'plain'], 'log'),
  python: str(APP, ''),
  python_path: list(APP, [1, 1], ([folder], at) => at.prefixPath(folder!)),
  timeout: time(APP, 30_000),
  graceful_timeout: time(APP, 30_000),
  max_requests: { in: APP, args: [1, 2] as const, default: { count: 0, jitter: 0 }, parse: parseMaxRequests },
  max_memory: size(APP, 0),
  preload: flag(APP, true),
  prefetch: { in: APP, args: [1, 1] as const, default: PREFETCH_MS, parse: parsePrefetch },
  queue: { in: APP, args: [1, 2] as const, default: { length: 1024, timeout: 30_000 }, parse: parseQueue },
  sticky: { in: APP, args: [2, Infinity] as const, default: null, parse: parseSticky },
  environment: list(APP, [1, 1], parseVariable),
  user: { in: APP, args: [1, 2] as const, default: { user: '', group: '' }, parse: parseUser },
  umask: { in: APP, args: [1, 1] as const, default: -1, parse: parseUmask },
  dirty_app: list(APP, [1, 1], parseTaskApp),
  dirty_workers: number(APP, 1, 0, WORKERS_MAX),
  dirty_threads: number(APP, 1, 1, TASK_THREADS_MAX),
  dirty_timeout: time(APP, 300_000),
  dirty_graceful_timeout: time(APP, 30_000),
  dirty_queue: number(APP, 1024, 1, 65_536),
  dirty_stash_size: size(APP, 256 * 1024 * 1024),
}

export const app = httpModule({
  name: 'app',
  directives: { app: block(HTTP, [1, 1], APP, ([name], at) => parseApp(name!, at)), ...inside },
  setup(conf, http) {
    for (const declared of conf.app) setUp(declared, http)
  },
})

interface Declared {
  readonly settings: AppSettings
  readonly sticky: StickinessMaker | null
  readonly site: Site
}

function setUp({ settings, sticky, site }: Declared, http: HttpSetup): void {
  const application = new Application(settings, site.prefixPath('app_temp'), sticky?.(http, settings.name))
  http.registry(APPLICATIONS).add(settings.name, application, site)
  http.needsApp(settings)
  const memory = `app ${settings.name}`
  const seats =
    (settings.workersMax + SPARE_WORKERS) * GENERATION * (settings.kind === 'threads' ? settings.threads : 1)
  http.sharedMemory(memory, SeatTable.bytes(seats))
  http.onStart(services => start(application, memory, services))
  http.onStop(() => application.stop())
}

function start(application: Application, memory: string, services: ThreadServices): void {
  const { settings } = application
  const toMaster = (request: AppRequest): void => services.toMaster(APP_TOPIC, request)
  if (settings.kind === 'node') application.begin(new SeatTable(services.shared(memory)), toMaster)
  else {
    application.sharesFiles = settings.user === '' || settings.user === userInfo().username
    application.dispatcher = new Dispatcher(settings, {
      memory: services.shared(memory),
      owner: services.thread,
      toMaster,
      log: (level, message) => services.errorLog.log(level, message),
      plain: text => services.errorLog.plain(text),
    })
  }
  services.onMessage(APP_TOPIC, (notice: AppNotice) => {
    if (notice.app !== settings.name) return
    if (notice.type !== 'count') application.notice(notice)
    else if (services.thread === 0) {
      const workers = application.snapshot()?.workers ?? []
      toMaster({ type: 'counted', app: settings.name, slot: 0, pid: 0, workers })
    }
  })
}

function parseApp(name: string, at: Site): Declared {
  // It becomes part of the sockets' names.
  if (!/^[A-Za-z0-9_.-]{1,32}$/.test(name)) at.fail(`invalid app name "${name}"`)
  const conf = at.inner!.conf(inside)
  const siteOf = (directive: string): Site => at.inner!.site(directive) ?? at
  if (conf.module === null) at.failAt(at.end, `no "module" is defined for app "${name}"`)
  if (conf.directory === null) at.failAt(at.end, `no "directory" is defined for app "${name}"`)
  const kind = conf.kind ?? (/\.[cm]?[jt]s$/.test(conf.module) ? 'node' : 'sync')
  checkFolder(conf.directory, siteOf('directory'))
  if (conf.python.includes('/')) checkFile(at.prefixPath(conf.python), siteOf('python'), 'python')
  if (kind === 'node') checkFile(resolve(conf.directory, conf.module), siteOf('module'), 'module')
  else if (!/^[^\s:]+(?::.+)?$/.test(conf.module))
    siteOf('module').fail(`invalid module "${conf.module}"`, 'as in mysite.wsgi:application')
  if (kind !== 'threads' && conf.threads !== 1)
    siteOf('threads').fail(`"threads" needs "kind threads" in app "${name}"`)
  if (kind !== 'asgi' && kind !== 'gevent' && at.inner!.site('worker_connections') !== null)
    siteOf('worker_connections').fail(`"worker_connections" needs "kind asgi" or "kind gevent" in app "${name}"`)
  if (!conf.module.startsWith('config:/') && conf.paste_global.length > 0)
    siteOf('paste_global').fail('"paste_global" needs a module that is an ini file, as in config:/srv/development.ini')
  if (kind !== 'asgi' && at.inner!.site('lifespan_state') !== null)
    siteOf('lifespan_state').fail(`"lifespan_state" needs "kind asgi" in app "${name}"`)
  if ((kind === 'asgi' || kind === 'node') && at.inner!.site('wsgi_errors') !== null)
    siteOf('wsgi_errors').fail(`"wsgi_errors" is for applications of WSGI, and app "${name}" is of "kind ${kind}"`)
  if (kind === 'sync' || kind === 'threads')
    if (at.inner!.site('sticky') !== null)
      siteOf('sticky').fail(`"sticky" needs "kind asgi", "kind gevent" or "kind node" in app "${name}"`)
  for (const directive of ['arguments', 'node_options', 'wait_ready']) {
    if (kind !== 'node' && at.inner!.site(directive) !== null)
      siteOf(directive).fail(`"${directive}" needs "kind node" in app "${name}"`)
  }
  if (kind === 'node' && conf.dirty_app.length > 0)
    siteOf('dirty_app').fail(`"dirty_app" is for applications in Python, and app "${name}" is of "kind node"`)
  if (kind === 'node' && conf.workers.most > conf.workers.least)
    siteOf('workers').fail('a range of workers needs a queue to grow with, and "kind node" has none: give one number')
  return { settings: settingsOf(name, kind, conf, at), sticky: conf.sticky, site: at }
}

function settingsOf(name: string, kind: AppKind, conf: Conf<typeof inside>, at: Site): AppSettings {
  return {
    name,
    kind,
    directory: bytesToText(conf.directory!),
    module: bytesToText(conf.module!),
    arguments: conf.arguments,
    nodeOptions: conf.node_options,
    waitReady: conf.wait_ready,
    pasteGlobal: conf.paste_global,
    python: bytesToText(conf.python.includes('/') ? at.prefixPath(conf.python) : conf.python),
    pythonPath: conf.python_path.map(bytesToText),
    workers: conf.workers.least,
    workersMax: conf.workers.most,
    threads: conf.threads,
    workerConnections: conf.worker_connections,
    lifespanState: conf.lifespan_state,
    wsgiErrors: conf.wsgi_errors,
    preload: conf.preload,
    timeout: conf.timeout,
    gracefulTimeout: conf.graceful_timeout,
    maxRequests: conf.max_requests.count,
    maxRequestsJitter: conf.max_requests.jitter,
    maxMemory: conf.max_memory,
    queue: conf.queue.length,
    queueTimeout: conf.queue.timeout,
    prefetch: conf.prefetch,
    environment: Object.fromEntries([...conf.environment, ...withoutTasks(conf)]),
    user: conf.user.user,
    group: conf.user.group,
    umask: conf.umask,
    tasks: tasksOf(conf),
    place: `${at.file}:${at.line}`,
  }
}

/** Tasks that nobody does now can still be asked for, and who asks is told: the name of no socket. */
function withoutTasks(conf: Conf<typeof inside>): (readonly [string, string])[] {
  return conf.dirty_app.length > 0 && conf.dirty_workers === 0 ? [[SOCKET_VARIABLE, '']] : []
}

function tasksOf(conf: Conf<typeof inside>): TaskSettings | null {
  if (conf.dirty_app.length === 0 || conf.dirty_workers === 0) return null
  return {
    apps: conf.dirty_app,
    workers: conf.dirty_workers,
    threads: conf.dirty_threads,
    timeout: conf.dirty_timeout,
    gracefulTimeout: conf.dirty_graceful_timeout,
    queue: conf.dirty_queue,
    stashSize: conf.dirty_stash_size,
  }
}

/** The configuration is read as latin1; what leaves for other programs as JSON must be text again. */
function bytesToText(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}

function checkFolder(folder: string, at: Site): void {
  const stats = lookAt(folder, at, 'directory')
  if (stats !== null && !stats.isDirectory()) at.fail(`"${folder}" is not a directory`)
}

function checkFile(file: string, at: Site, what: string): void {
  const stats = lookAt(file, at, what)
  if (stats !== null && !stats.isFile()) at.fail(`${what} "${file}" is not a file`)
}

/** Null where it cannot be told: a front thread need not be able to see an application's folder, and starts anew though that has
 *  been removed since the master looked (an old release). */
function lookAt(name: string, at: Site, what: string): Stats | null {
  if (!isMainThread) return null
  try {
    return statSync(Buffer.from(name, 'latin1'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') at.fail(`${what} "${name}" does not exist`)
    return null
  }
}

/** Gunicorn's advice. */
function autoWorkers(): number {
  return 2 * processors() + 1
}

/** How many workers there are at least, and at most while requests wait. */
interface Workers {
  readonly least: number
  readonly most: number
}

function fixed(count: number): Workers {
  return { least: count, most: count }
}

function parseWorkers([word]: readonly string[], at: Site): Workers {
  if (word === 'auto') return fixed(autoWorkers())
  const [least, most = least] = word!.split('..').map(part => parseNumber(part))
  if (least === null || least === undefined || most === null || most === undefined || /\.\..*\.\./.test(word!))
    return at.fail(`"workers" directive invalid number "${word}"`)
  if (least < 1 || most > WORKERS_MAX) at.fail(`the number of workers must be between 1 and ${WORKERS_MAX}`)
  if (most < least) at.fail(`invalid range of workers "${word}"`)
  return { least, most }
}

function parseMaxRequests([word, option]: readonly string[], at: Site): { count: number; jitter: number } {
  const count = parseNumber(word!) ?? at.fail(`"max_requests" directive invalid number "${word}"`)
  if (option === undefined) return { count, jitter: 0 }
  const jitter = option.startsWith('jitter=') ? parseNumber(option.slice(7)) : null
  return { count, jitter: jitter ?? at.fail(`invalid parameter "${option}"`) }
}

function parseQueue([word, option]: readonly string[], at: Site): { length: number; timeout: number } {
  const length = parseNumber(word!) ?? at.fail(`"queue" directive invalid number "${word}"`)
  if (option === undefined) return { length, timeout: 30_000 }
  const timeout = option.startsWith('timeout=') ? parseTime(option.slice(8)) : null
  return { length, timeout: timeout ?? at.fail(`invalid parameter "${option}"`) }
}

function parsePrefetch([word]: readonly string[], at: Site): number {
  if (word === 'off') return 0
  return parseTime(word!) ?? at.fail(`"prefetch" directive invalid value "${word}"`, 'as in prefetch 2ms, or off')
}

function parseArguments(args: readonly string[]): readonly string[] {
  return args.map(bytesToText)
}

function parseNodeOptions(args: readonly string[], at: Site): readonly string[] {
  if (!args[0]!.startsWith('-')) at.fail(`invalid node_options "${args[0]}"`, 'as in node_options --env-file=.env')
  return args.map(bytesToText)
}

function parseVariable([word]: readonly string[], at: Site): readonly [string, string] {
  const equals = word!.indexOf('=')
  if (equals <= 0) return at.fail(`invalid environment "${word}"`, 'as in environment NAME=value')
  return [bytesToText(word!.slice(0, equals)), bytesToText(word!.slice(equals + 1))]
}

function parseTaskApp([word]: readonly string[], at: Site): string {
  const name = bytesToText(word!)
  if (isTaskApp(name)) return name
  return at.fail(`invalid dirty_app "${word}"`, 'as in dirty_app module:Class, or module:Class:2')
}

function parseUser([user, group]: readonly string[]): { user: string; group: string } {
  return { user: user!, group: group ?? '' }
}

function parseUmask([word]: readonly string[], at: Site): number {
  return /^0?[0-7]{1,3}$/.test(word!) ? Number.parseInt(word!, 8) : at.fail(`invalid umask "${word}"`)
}
