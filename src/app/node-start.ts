// What the master tells a Node worker when it starts it: read by both ends, so it stands above them.

/** What a worker is told at its start, as JSON in this variable of its environment. */
export const WORKER_VARIABLE = 'PORTICO_WORKER'

export interface NodeWorkerStart {
  readonly app: string
  readonly module: string
  readonly directory: string
  readonly path: string
  readonly umask: number
  readonly gracefulTimeout: number
}
