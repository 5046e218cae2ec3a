// What the processes need to know of a configuration. They know neither its language nor HTTP: whoever composes the program
// (src/cli) makes a plan of what was compiled, and `data` passes through to the threads unread.

import type { LogTarget } from '../log/error-log.ts'
import type { StopSignals } from './signals.ts'

/** An address to listen on; `key` names it in all processes and over reloads. */
export interface ListenAddress {
  readonly key: string
  /** A numeric address; '' for a Unix socket. */
  readonly host: string
  readonly port: number
  /** Of a Unix socket; '' for TCP. */
  readonly path: string
  readonly backlog: number
  readonly ipv6only: boolean
  /** Datagrams come there, no connections. */
  readonly udp?: boolean
  /** Others of the same address may be bound beside it, by this program or by others. */
  readonly reuseport?: boolean
  /** For setsockopt(); `text` is what the log calls it. */
  readonly options?: readonly {
    readonly level: number
    readonly name: number
    readonly value: number
    readonly text: string
  }[]
}

/** Memory all threads share, which outlives a reload that asks for the same size. */
export interface MemoryRequest {
  readonly key: string
  readonly bytes: number
}

export interface User {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** How the front process is set up, as `user`, `worker_priority` and their like say. JSON-able. */
export interface FrontSettings {
  readonly threads: number
  /** Null: it stays who it is. */
  readonly user: User | null
  /** Who is not root any more may use addresses that are not this machine's all the same. */
  readonly rawSockets: boolean
  readonly errorLog: readonly LogTarget[]
  readonly memory: readonly MemoryRequest[]
  readonly workingDirectory: string | null
  /** 0: as it is. */
  readonly openFiles: number
  /** worker_rlimit_core in bytes; null: as it is. */
  readonly coreSize: number | null
  readonly priority: number
  /** How long a retired thread may go on, in ms; 0: as long as it takes. */
  readonly shutdownTimeout: number
  /** What TERM and QUIT mean to the front itself: supervisors send them to every process of a service. */
  readonly stopSignals: StopSignals
}

export interface Plan extends FrontSettings {
  readonly listens: readonly ListenAddress[]
  /** Made if missing, and given to `user`. */
  readonly folders: readonly string[]
  readonly logFiles: readonly string[]
  readonly pidFile: string
  /** For every thread. JSON-able. */
  readonly data: unknown
}

/** Something a thread and the master's side of a generation (its applications) tell each other. */
export interface TopicMessage {
  readonly topic: string
  readonly message: unknown
}
