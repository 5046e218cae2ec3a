// An application as both halves know it: what an `app` block (or `portico serve`) says, and what master and front tell
// each other about its workers. No I/O here.

export type AppKind = 'sync' | 'threads' | 'gevent' | 'asgi' | 'node'

/** An application's second pool, for tasks (Gunicorn's "dirty arbiter"). Times in ms. */
export interface TaskSettings {
  /** `module:Class`, or `module:Class:N` for what only N processes have. */
  readonly apps: readonly string[]
  readonly workers: number
  readonly threads: number
  /** 0: a task may take as long as it likes. */
  readonly timeout: number
  readonly gracefulTimeout: number
  /** So many tasks may wait for a process. */
  readonly queue: number
  /** Bytes that all tables of the stash may have. */
  readonly stashSize: number
}

/** One `app` block, all defaults filled in. Times in ms. JSON-able: it travels to the master and to the zygote. */
export interface AppSettings {
  readonly name: string
  readonly kind: AppKind
  /** Absolute folder the application runs in. */
  readonly directory: string
  /** `mysite.wsgi:application`, `config:/srv/development.ini#main`, or for node `./server.ts`. */
  readonly module: string
  /** For node: what the program finds behind its own name on its command line. */
  readonly arguments: readonly string[]
  /** For node: what stands in front of it there, for Node itself. */
  readonly nodeOptions: readonly string[]
  /** For node: a worker serves when it says that it is ready, and not when it listens. */
  readonly waitReady: boolean
  /** For an ini file: names and values that it may use. */
  readonly pasteGlobal: readonly (readonly [name: string, value: string])[]
  /** Interpreter; '' for the environment's python3. */
  readonly python: string
  readonly pythonPath: readonly string[]
  readonly workers: number
  /** As many as there may be while requests wait; `workers` where the number is fixed. */
  readonly workersMax: number
  readonly threads: number
  /** Requests a worker of kind asgi or gevent serves at a time. */
  readonly workerConnections: number
  /** Of kind asgi: is each request given a copy of the lifespan's state, or all the one dict? */
  readonly lifespanState: 'copy' | 'shared'
  /** Lines of `wsgi.errors`: entries of the error log, with the request, or plain as they are. */
  readonly wsgiErrors: 'log' | 'plain'
  readonly preload: boolean
  readonly timeout: number
  readonly gracefulTimeout: number
  readonly maxRequests: number
  readonly maxRequestsJitter: number
  /** Bytes of memory a worker may have to itself before it is replaced; 0 for any. */
  readonly maxMemory: number
  readonly queue: number
  readonly queueTimeout: number
  /** Work that may be sent ahead to a busy worker, in milliseconds; 0 for none. */
  readonly prefetch: number
  readonly environment: Readonly<Record<string, string>>
  readonly user: string
  readonly group: string
  readonly umask: number
  /** Null: there is no such pool. */
  readonly tasks: TaskSettings | null
  /** Where it was written, for messages. */
  readonly place: string
}

/** Where Gunicorn's client of the tasks looks for the name of their socket. */
export const SOCKET_VARIABLE = 'GUNICORN_DIRTY_SOCKET'

/** `module:Class`, or with the number of processes that have it at most. */
export function isTaskApp(word: string): boolean {
  return /^[^\s:]+:[^\s:]+(?::0*[1-9]\d*)?$/.test(word)
}

/** A sync worker's pipe of tokens (dispatch/claims.ts), beside its socket. */
export function claimsPath(socket: string): string {
  return `${socket}.claims`
}

/** What a worker of kind asgi or gevent has begun (dispatch/begun.ts), beside its socket. */
export function begunPath(socket: string): string {
  return `${socket}.begun`
}

/** Topic of the messages below (ThreadServices.toMaster, onMessage). */
/** So many more workers than configured can be asked for by signals, however few those are. */
export const SPARE_WORKERS = 16

export const APP_TOPIC = 'app'

/** Master → every thread. */
export type AppNotice =
  /** A worker listens on `path` and may be connected to. */
  | {
      readonly type: 'worker'
      readonly app: string
      readonly slot: number
      /** Among those that are to go on: who takes over from another has its number. */
      readonly place: number
      readonly pid: number
      readonly path: string
    }
  /** That worker is gone. */
  | { readonly type: 'gone'; readonly app: string; readonly slot: number; readonly pid: number }
  /** The application cannot be loaded: answer 502 until a worker comes. */
  | { readonly type: 'failed'; readonly app: string; readonly error: string }
  /** How many requests has each worker served? The first thread answers for all. */
  | { readonly type: 'count'; readonly app: string }

/** Thread → master. */
export type AppRequest =
  /** The worker did not answer in time: stacks to the log, kill, replace. */
  | { readonly type: 'hung'; readonly app: string; readonly slot: number; readonly pid: number }
  /** It has served max_requests, or leaves by itself, or has closed a connection: replace it. */
  | { readonly type: 'retire'; readonly app: string; readonly slot: number; readonly pid: number }
  /** A Node worker did not answer a request in time: does it hang? */
  | { readonly type: 'doubt'; readonly app: string; readonly slot: number; readonly pid: number }
  /** Requests wait: one worker more, if there may be. */
  | { readonly type: 'grow'; readonly app: string; readonly slot: number; readonly pid: number }
  /** Told every second where the number of workers may change: those that have had nothing to do. */
  | {
      readonly type: 'load'
      readonly app: string
      readonly slot: number
      readonly pid: number
      readonly idle: readonly number[]
    }
  /** The answer to `count`. */
  | {
      readonly type: 'counted'
      readonly app: string
      readonly slot: number
      readonly pid: number
      readonly workers: readonly { readonly pid: number; readonly served: number }[]
    }
