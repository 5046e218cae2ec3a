// What master, front and threads say to each other. Between processes it travels as JSON; between threads memory is shared.

import type { FrontSettings, TopicMessage } from './plan.ts'

export type Ending = 'graceful' | 'fast'

/** Master → front. A `socket` message carries a handle. */
export type ToFront =
  /** Threads may be started already; what they are to do follows. */
  | { readonly type: 'prepare'; readonly threads: number }
  | { readonly type: 'socket'; readonly key: string }
  | {
      readonly type: 'start'
      readonly generation: number
      readonly settings: FrontSettings
      readonly keys: readonly string[]
      readonly data: unknown
    }
  | { readonly type: 'retire'; readonly generation: number }
  /** Nobody listens on it any more. */
  | { readonly type: 'close'; readonly key: string }
  | { readonly type: 'stop'; readonly ending: Ending }
  | { readonly type: 'reopen' }
  /** Do all threads that serve still answer? */
  | { readonly type: 'ping' }
  /** The service manager is to hear from the front who the main process is. */
  | { readonly type: 'name-main'; readonly pid: number }
  | { readonly type: 'topic'; readonly generation: number; readonly content: TopicMessage }
  /** What a thread that has just started must know of what was said before. */
  | {
      readonly type: 'joined'
      readonly generation: number
      readonly thread: number
      readonly contents: readonly TopicMessage[]
    }

/** Front → master. */
export type FromFront =
  /** A thread wants to be told what was said before: a `joined` answers it. */
  | { readonly type: 'join'; readonly generation: number; readonly thread: number }
  /** Every thread accepts on every address. */
  | { readonly type: 'listening'; readonly generation: number }
  | { readonly type: 'failed'; readonly generation: number; readonly error: string }
  /** No thread of it is left. */
  | { readonly type: 'retired'; readonly generation: number }
  /** All have answered. */
  | { readonly type: 'pong' }
  | { readonly type: 'topic'; readonly generation: number; readonly content: TopicMessage }

/** What a thread is started with. */
export interface ThreadOrder {
  readonly generation: number
  /** Its index among `threads`, from 0. */
  readonly thread: number
  readonly threads: number
  readonly data: unknown
  /** Its own descriptors: it closes them. */
  readonly descriptors: readonly (readonly [key: string, fd: number])[]
  readonly memory: readonly (readonly [key: string, memory: SharedArrayBuffer])[]
}

/** Front → thread. */
export type ToThread =
  | { readonly type: 'start'; readonly order: ThreadOrder }
  /** Take no more connections, finish, go. `grace`: idle connections may bring one more request (a reload). */
  | { readonly type: 'retire'; readonly grace: boolean; readonly timeout: number }
  | { readonly type: 'stop' }
  | { readonly type: 'reopen' }
  | { readonly type: 'ping' }
  | { readonly type: 'topic'; readonly content: TopicMessage }

/** Thread → front. */
export type FromThread =
  | { readonly type: 'listening' }
  | { readonly type: 'failed'; readonly error: string }
  | { readonly type: 'pong' }
  | { readonly type: 'topic'; readonly content: TopicMessage }
