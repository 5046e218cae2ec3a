// The settings of sockets, workers, limits and trying things out.

import { parseBind } from './bind.ts'
import { listed, oneOf, refused, single, SettingError, text, toggle, whole } from './setting.ts'
import type { FileValue } from './setting.ts'

export const configFile = {
  config: single(
    {
      flags: ['-c', '--config'],
      value: 'FILE',
      default: './gunicorn.conf.py',
      about: 'A configuration file in Python, PATH, file:PATH or python:MODULE.',
    },
    text,
  ),
  wsgi_app: single({ value: 'MODULE[:VARIABLE]', default: null, about: 'The application.' }, text),
}

export const serverSocket = {
  bind: listed(
    {
      flags: ['-b', '--bind'],
      value: 'ADDRESS',
      default: [parseBind('127.0.0.1:8000')],
      about: 'Where to listen: HOST:PORT, :PORT, [IPV6]:PORT, unix:PATH or fd://N. May be given several times.',
    },
    parseBind,
  ),
  backlog: whole({
    flags: ['--backlog'],
    value: 'N',
    default: 2048,
    about: 'How many connections, and requests behind them, may wait to be served.',
  }),
}

export type WorkerClass = 'sync' | 'threads' | 'gevent' | 'asgi' | 'uvicorn' | 'node'

const CLASSES: Record<string, WorkerClass> = {
  sync: 'sync',
  'egg:gunicorn#sync': 'sync',
  'gunicorn.workers.sync.SyncWorker': 'sync',
  gthread: 'threads',
  threads: 'threads',
  'egg:gunicorn#gthread': 'threads',
  'gunicorn.workers.gthread.ThreadWorker': 'threads',
  gevent: 'gevent',
  'egg:gunicorn#gevent': 'gevent',
  'gunicorn.workers.ggevent.GeventWorker': 'gevent',
  // With gevent's own reader of HTTP, or Tornado's loop around a WSGI application: the front reads HTTP here.
  gevent_wsgi: 'gevent',
  gevent_pywsgi: 'gevent',
  'egg:gunicorn#gevent_wsgi': 'gevent',
  'egg:gunicorn#gevent_pywsgi': 'gevent',
  'gunicorn.workers.ggevent.GeventPyWSGIWorker': 'gevent',
  'gunicorn.workers.gthread': 'threads',
  asgi: 'asgi',
  // For a program whose name does not say it: bin/www.
  node: 'node',
  'egg:gunicorn#asgi': 'asgi',
  'gunicorn.workers.gasgi.ASGIWorker': 'asgi',
  // What people give Gunicorn for ASGI: the same applications, another server inside, which believes trusted proxies more.
  'uvicorn.workers.UvicornWorker': 'uvicorn',
  'uvicorn.workers.UvicornH11Worker': 'uvicorn',
  'uvicorn_worker.UvicornWorker': 'uvicorn',
  'uvicorn_worker.UvicornH11Worker': 'uvicorn',
  // The paths that the classes themselves tell.
  'uvicorn.workers._workers.UvicornWorker': 'uvicorn',
  'uvicorn_worker._workers.UvicornWorker': 'uvicorn',
}

/** Classes that were looked for in vain. */
const missing = new Set<string>()

/** Classes that give applications of WSGI websockets, in gevent-websocket's way, and whether the one read last is such a class. */
const webSocketClasses = new Set<string>()
let promisesWebSockets = false

function isWebSocketClass(name: FileValue): boolean {
  return typeof name === 'string' && (name.startsWith('geventwebsocket.') || webSocketClasses.has(name))
}

function workerClass(word: string): WorkerClass {
  const name = word.trim()
  promisesWebSockets = isWebSocketClass(name)
  const kind = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined
  if (kind !== undefined) return kind
  if (missing.has(name)) throw new SettingError('there is no such class')
  throw new SettingError(`${adviceOn(name)}; there are sync, gthread, gevent, asgi and node`)
}

function adviceOn(name: string): string {
  if (/tornado|aiohttp/i.test(name))
    return 'workers of this class are not supported: what has a server of its own runs by itself, behind proxy_pass'
  if (/eventlet/i.test(name)) return 'eventlet is not supported, by Gunicorn neither: gevent does the same'
  return 'workers of this class are not supported'
}

/** A class of the user's own, by what Python says it is derived from: from then on it is known. */
export function learnWorkerClass(name: string, bases: FileValue): void {
  const names = Array.isArray(bases) ? bases : []
  const known = names.find(base => typeof base === 'string' && Object.hasOwn(CLASSES, base))
  if (names.some(isWebSocketClass)) webSocketClasses.add(name)
  if (known !== undefined) CLASSES[name] = CLASSES[known as string]!
  else if (!Array.isArray(bases) && !/^(?:gunicorn|uvicorn|uvicorn_worker)\./.test(name)) missing.add(name)
}

/** Is it a path to a class that is not known? */
export function isForeignClass(word: string): boolean {
  return /^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$/.test(word.trim()) && !Object.hasOwn(CLASSES, word.trim())
}

/** The first base class that is known: people derive their own to set what options set here. */
function workerClassOf(value: FileValue): WorkerClass {
  const names = Array.isArray(value) ? value : [value]
  const known = names.find(name => typeof name === 'string' && Object.hasOwn(CLASSES, name.trim()))
  // Python would have told of what it is derived from.
  if (typeof value === 'string' && isForeignClass(value)) learnWorkerClass(value.trim(), value)
  const kind = workerClass(`${known ?? names[0]}`)
  promisesWebSockets = names.some(isWebSocketClass)
  return kind
}

function webSocketCaution(): string {
  if (!promisesWebSockets) return ''
  return 'worker_class: workers of WSGI applications have no websockets, gevent-websocket or not: an ASGI application has them'
}

/** The most a worker can have (app/dispatch/seats.ts). */
export const THREADS_MAX = 512

export const workerProcesses = {
  workers: whole(
    {
      flags: ['-w', '--workers'],
      value: 'N',
      default: 1,
      environment: 'WEB_CONCURRENCY',
      about: 'How many processes run the application.',
    },
    1,
  ),
  worker_class: {
    ...single(
      {
        flags: ['-k', '--worker-class'],
        value: 'CLASS',
        default: 'sync',
        about: 'How they do it: sync, gthread, gevent, asgi or node.',
      },
      workerClass,
    ),
    readValue: workerClassOf,
    caution: webSocketCaution,
  },
  threads: {
    ...whole({
      flags: ['--threads'],
      value: 'N',
      default: 1,
      about: 'Threads of each worker; more than one makes the workers gthread.',
    }),
    caution: (threads: number) => (threads > THREADS_MAX ? `threads ${threads}: a worker has ${THREADS_MAX}` : ''),
  },
  worker_connections: whole({
    flags: ['--worker-connections'],
    value: 'N',
    default: 1000,
    about: 'Requests and websockets an asgi or gevent worker serves at a time.',
  }),
  max_requests: whole({
    flags: ['--max-requests'],
    value: 'N',
    default: 0,
    about: 'A worker is replaced when it has served so many requests; 0: never.',
  }),
  max_requests_jitter: whole({
    flags: ['--max-requests-jitter'],
    value: 'N',
    default: 0,
    about: 'Adds up to so many at random, so that workers are not all replaced at once.',
  }),
  timeout: whole({
    flags: ['-t', '--timeout'],
    value: 'SECONDS',
    default: 30,
    about: 'A worker that does not answer for so long is killed and replaced; 0: never.',
  }),
  graceful_timeout: whole({
    flags: ['--graceful-timeout'],
    value: 'SECONDS',
    default: 30,
    about: 'How long requests may take to finish when the server is told to stop or reload.',
  }),
  keepalive: whole({
    flags: ['--keep-alive'],
    value: 'SECONDS',
    default: 2,
    about: 'How long a connection may wait for its next request.',
  }),
  asgi_loop: single(
    {
      flags: ['--asgi-loop'],
      value: 'NAME',
      default: 'auto',
      about: 'The event loop: asyncio, uvloop, or auto for uvloop where that is installed.',
    },
    oneOf('auto', 'asyncio', 'uvloop'),
  ),
  asgi_lifespan: single(
    {
      flags: ['--asgi-lifespan'],
      value: 'MODE',
      default: 'auto',
      about: 'Whether the application hears of start and stop: on, off, or auto for where it knows how to.',
    },
    oneOf('auto', 'on', 'off'),
  ),
  asgi_disconnect_grace_period: whole({
    flags: ['--asgi-disconnect-grace-period'],
    value: 'SECONDS',
    default: 3,
    about: 'How long an application may run on when its client has left.',
  }),
  http_parser: single(
    {
      flags: ['--http-parser'],
      value: 'NAME',
      default: 'auto',
      about: 'Who reads requests.',
      accepted: 'the front reads requests, in its own way',
    },
    oneOf('auto', 'fast', 'python'),
  ),
}

export const security = {
  limit_request_line: whole({
    flags: ['--limit-request-line'],
    value: 'BYTES',
    default: 4094,
    about: 'The longest request line; the buffers are as long as the greater of this and the next but one; 0: 1 MB.',
  }),
  limit_request_fields: whole({
    flags: ['--limit-request-fields'],
    value: 'N',
    default: 100,
    about: 'How many header fields a request may have; 0: 32768.',
  }),
  limit_request_field_size: whole({
    // Gunicorn's own name has the underscore.
    flags: ['--limit-request-field_size', '--limit-request-field-size'],
    value: 'BYTES',
    default: 8190,
    about: 'The longest header field; 0: 1 MB.',
  }),
}

/** Gunicorn takes no other spelling of these. */
function reloadEngine(word: string): 'auto' | 'poll' | 'inotify' {
  if (word === 'auto' || word === 'poll' || word === 'inotify') return word
  throw new SettingError('it must be one of auto, poll, inotify')
}

export const debugging = {
  reload: toggle({
    flags: ['--reload'],
    about: 'Loads the application anew when one of its files changes, and shows in the browser why it cannot.',
  }),
  reload_engine: single(
    {
      flags: ['--reload-engine'],
      value: 'NAME',
      default: 'auto',
      about: 'How files are watched.',
      accepted: 'workers look at their files a few times a second',
    },
    reloadEngine,
  ),
  reload_extra_files: listed<string>(
    {
      flags: ['--reload-extra-file'],
      value: 'FILE',
      default: [],
      about: 'A further file to watch, or a pattern for several. May be given several times.',
    },
    text,
  ),
  spew: refused({
    flags: ['--spew'],
    about: 'Prints every line of Python that is run.',
    refused: 'use "python3 -m trace" for this',
  }),
  check_config: toggle({ flags: ['--check-config'], about: 'Checks the options, loads the application, and ends.' }),
  print_config: toggle({ flags: ['--print-config'], about: 'Prints what would be run as an nginx.conf, and ends.' }),
}
