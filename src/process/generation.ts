// The threads that serve one configuration. After a reload two generations live side by side until the older has finished.

import { closeSync } from 'node:fs'
import { ALERT, NOTICE } from '../log/error-log.ts'
import { dup } from './libc.ts'
import { ThreadHandle } from './thread-handle.ts'
import type { ThreadEvents } from './thread-handle.ts'
import type { FromFront } from './messages.ts'
import type { TopicMessage } from './plan.ts'

type Descriptors = readonly (readonly [key: string, fd: number])[]

export interface GenerationSettings {
  readonly number: number
  readonly threads: number
  readonly shutdownTimeout: number
  readonly data: unknown
  readonly sockets: Descriptors
  readonly memory: readonly (readonly [key: string, memory: SharedArrayBuffer])[]
}

/** What a generation needs of the front it is part of. */
export interface Surroundings {
  log(level: number, message: string): void
  tell(message: FromFront): void
  /** A thread that has loaded its code, or is about to. */
  thread(): ThreadHandle
  /** The last thread has gone. */
  ended(generation: Generation): void
}

/** A thread that ends sooner than this after its start is not replaced at once: the next would do the same. */
const SHORT_LIFE_MS = 1000

/** Who is to say that the front lives: those that serve now, not those that are yet to load what a reload has brought. */
export function toAsk(generations: Iterable<Generation>): Generation | undefined {
  const candidates = [...generations].filter(({ retiring }) => !retiring)
  return candidates.findLast(({ serves }) => serves) ?? candidates.at(-1)
}

export class Generation implements ThreadEvents {
  readonly settings: GenerationSettings
  retiring = false
  /** As after a reload: what lasts is left to last. */
  private lingers = false
  private readonly around: Surroundings
  private readonly threads = new Set<ThreadHandle>()
  private readonly replacements = new Set<NodeJS.Timeout>()
  /** Those that have not yet answered the last question. */
  private readonly asked = new Set<ThreadHandle>()
  private listeningThreads = 0
  private state: 'starting' | 'listening' | 'failed' = 'starting'

  constructor(settings: GenerationSettings, around: Surroundings) {
    this.settings = settings
    this.around = around
    this.startThreads()
  }

  /** One that cannot be had leaves none of the others behind. */
  private startThreads(): void {
    try {
      for (let index = 0; index < this.settings.threads; index++) this.startThread(index)
    } catch (error) {
      this.stop()
      throw error
    }
  }

  /** All its threads listen. */
  get serves(): boolean {
    return this.state === 'listening' && !this.retiring
  }

  /** @param grace false: the server ends, which those that a reload has retired have yet to hear */
  retire(grace: boolean): void {
    if (this.retiring && (grace || !this.lingers)) return
    this.retiring = true
    this.lingers = grace
    this.forgetReplacements()
    for (const thread of this.threads) thread.retire(grace, this.settings.shutdownTimeout)
    this.endIfEmpty()
  }

  stop(): void {
    this.retiring = true
    this.forgetReplacements()
    for (const thread of this.threads) thread.stop()
    this.endIfEmpty()
  }

  reopen(): void {
    for (const thread of this.threads) thread.send({ type: 'reopen' })
  }

  /** `pong` is told when all have answered. One that does not is asked but once. */
  ping(): void {
    if (this.asked.size > 0) return
    for (const thread of this.threads) {
      this.asked.add(thread)
      thread.send({ type: 'ping' })
    }
  }

  answered(thread: ThreadHandle): void {
    if (this.asked.delete(thread) && this.asked.size === 0) this.around.tell({ type: 'pong' })
  }

  broadcast(content: TopicMessage): void {
    for (const thread of this.threads) if (thread.joined) thread.send({ type: 'topic', content })
  }

  join(id: number, contents: readonly TopicMessage[]): void {
    for (const thread of this.threads) {
      if (thread.id !== id) continue
      thread.joined = true
      for (const content of contents) thread.send({ type: 'topic', content })
    }
  }

  listening(): void {
    this.listeningThreads++
    if (this.state !== 'starting' || this.listeningThreads < this.settings.threads) return
    this.state = 'listening'
    this.around.tell({ type: 'listening', generation: this.settings.number })
  }

  failed(thread: ThreadHandle, error: string): void {
    if (this.state === 'starting') this.fail(error)
    else this.around.log(ALERT, `front thread ${thread.id} could not start: ${error}`)
    if (!thread.leaving) thread.send({ type: 'stop' })
  }

  topic(_thread: ThreadHandle, content: TopicMessage): void {
    this.around.tell({ type: 'topic', generation: this.settings.number, content })
  }

  exited(thread: ThreadHandle, cause: string | null): void {
    this.threads.delete(thread)
    this.answered(thread)
    if (cause === null) this.around.log(NOTICE, `worker process ${thread.id} exited with code 0`)
    else this.around.log(ALERT, `front thread ${thread.id} exited ${cause}`)
    if (this.retiring || this.state === 'failed') {
      this.endIfEmpty()
      return
    }
    if (this.state === 'starting') this.fail(`a front thread exited ${cause ?? 'before it listened'}`)
    else this.replace(thread)
  }

  private startThread(index: number): void {
    const { number, threads, data, sockets, memory } = this.settings
    const descriptors = copied(sockets)
    const thread = this.threadFor(descriptors)
    this.threads.add(thread)
    thread.start({ generation: number, thread: index, threads, data, descriptors, memory }, this)
    this.around.log(NOTICE, `start worker process ${thread.id}`)
    this.around.tell({ type: 'join', generation: number, thread: thread.id })
  }

  private threadFor(descriptors: Descriptors): ThreadHandle {
    try {
      return this.around.thread()
    } catch (error) {
      for (const [, fd] of descriptors) closeSync(fd)
      throw new Error(`a front thread could not be started (${(error as Error).message})`, { cause: error })
    }
  }

  private replace(thread: ThreadHandle): void {
    const lived = performance.now() - thread.startedAt
    if (lived >= SHORT_LIFE_MS) this.startAnother(thread.index)
    else this.startLater(thread.index)
  }

  private startLater(index: number): void {
    const timer = setTimeout(() => {
      this.replacements.delete(timer)
      this.startAnother(index)
    }, SHORT_LIFE_MS)
    this.replacements.add(timer)
  }

  /** What it needs may be used up for the moment: threads, descriptors. */
  private startAnother(index: number): void {
    try {
      this.startThread(index)
    } catch (error) {
      this.around.log(ALERT, (error as Error).message)
      this.startLater(index)
    }
  }

  private forgetReplacements(): void {
    for (const timer of this.replacements) clearTimeout(timer)
    this.replacements.clear()
  }

  /** It never served as a whole: none of it shall. */
  private fail(error: string): void {
    this.state = 'failed'
    this.around.tell({ type: 'failed', generation: this.settings.number, error })
    for (const thread of this.threads) thread.stop()
    this.endIfEmpty()
  }

  private endIfEmpty(): void {
    if (this.threads.size === 0) this.around.ended(this)
  }
}

/** For a thread of its own; all or none. */
function copied(sockets: Descriptors): Descriptors {
  const copies: [key: string, fd: number][] = []
  try {
    for (const [key, fd] of sockets) copies.push([key, dup(fd)])
    return copies
  } catch (error) {
    for (const [, fd] of copies) closeSync(fd)
    throw error
  }
}
