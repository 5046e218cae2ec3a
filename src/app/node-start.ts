// What the front, the master and a Node worker must agree on: read by all three, so it stands above them.

/** What a worker is told at its start, as JSON in this variable of its environment. */
export const WORKER_VARIABLE = 'PORTICO_WORKER'

export interface NodeWorkerStart {
  readonly app: string
  readonly module: string
  readonly arguments: readonly string[]
  readonly directory: string
  readonly path: string
  /** PORT, if the `app` block sets it: the server that asks for this port is the one; '' for the first that listens. */
  readonly port: string
  readonly umask: number
  readonly gracefulTimeout: number
  /** A number if the application forks cluster workers, each of which is one of ours. */
  readonly clusterId: number
  /** Does it serve when it says so, and not when it listens? */
  readonly waitReady: boolean
  /** Is it to look at its files (`--reload`), and at which further ones? */
  readonly watch: readonly string[] | null
}

/** What a worker tells the master. The application may send messages of its own over the same channel. */
export type NodeReport =
  | { readonly portico: 'serves' }
  | { readonly portico: 'failed'; readonly error: string; readonly traceback: string }
  /** It turns: the answer to NODE_QUESTION. */
  | { readonly portico: 'here' }
  /** A file of the application is not what it was. */
  | { readonly portico: 'changed'; readonly file: string }
  /** What whoever runs it should know, once. */
  | { readonly portico: 'notes'; readonly note: string }
  /** The application wants to fork cluster workers: it is to be started as one. */
  | { readonly portico: 'clusters'; readonly environments: readonly Readonly<Record<string, string>>[] }

/** What the master asks a worker that seems to hang. */
export const NODE_QUESTION = 'there?'

/** What an application has for its goodbyes, of the time that it has to end. */
const GOODBYE_MS = 2000

/** After how much of it the application is told, whatever is still to be answered. Milliseconds. */
export function goodbyeAfter(ms: number): number {
  return Math.max(ms - GOODBYE_MS, Math.floor(ms / 2))
}

/** What the master tells a worker whose place another has taken: SIGTERM, once it has answered what it has. */
export const NODE_LEAVE = 'leave'

/** The last field of every request to a Node worker, `ADDRESS PORT SCHEME`, with `-` where there is none: what its socket would
 *  tell, were the client connected to it. */
export const CLIENT_FIELD = 'x-portico-client'
