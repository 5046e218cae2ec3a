// A front thread as the front's main thread sees it. It may be started before there is work for it: by the time the master
// has read the configuration, the thread has loaded its code.

import { Worker } from 'node:worker_threads'
import type { FromThread, ThreadOrder, ToThread } from './messages.ts'
import type { TopicMessage } from './plan.ts'

export interface ThreadEvents {
  listening(thread: ThreadHandle): void
  failed(thread: ThreadHandle, error: string): void
  answered(thread: ThreadHandle): void
  topic(thread: ThreadHandle, content: TopicMessage): void
  /** Once, last. `cause` is null for an orderly end. */
  exited(thread: ThreadHandle, cause: string | null): void
}

export class ThreadHandle {
  readonly id: number
  /** Its index in its generation; -1 before it has an order. */
  index = -1
  /** It was told to go. */
  leaving = false
  /** It has been told what was said before it came, and hears everything from then on. */
  joined = false
  startedAt = performance.now()
  private readonly worker: Worker
  private events: ThreadEvents | null = null
  private error: string | null = null
  private gone = false

  constructor(entry: URL) {
    this.worker = new Worker(entry)
    this.id = this.worker.threadId
    this.worker.on('message', (message: FromThread) => this.receive(message))
    this.worker.on('error', error => (this.error = describe(error)))
    this.worker.on('exit', code => this.exit(code))
  }

  /** Not yet given an order, and not dead. */
  get usable(): boolean {
    return this.events === null && !this.gone
  }

  start(order: ThreadOrder, events: ThreadEvents): void {
    this.index = order.thread
    this.events = events
    this.startedAt = performance.now()
    this.send({ type: 'start', order })
  }

  retire(grace: boolean, timeout: number): void {
    this.leaving = true
    this.send({ type: 'retire', grace, timeout })
  }

  stop(): void {
    this.leaving = true
    this.send({ type: 'stop' })
  }

  send(message: ToThread): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no browser's window
    this.worker.postMessage(message)
  }

  private receive(message: FromThread): void {
    if (message.type === 'listening') this.events?.listening(this)
    else if (message.type === 'failed') this.events?.failed(this, message.error)
    else if (message.type === 'pong') this.events?.answered(this)
    else this.events?.topic(this, message.content)
  }

  private exit(code: number): void {
    this.gone = true
    const cause = this.error ?? (code === 0 ? null : `with code ${code}`)
    this.events?.exited(this, cause)
  }
}

function describe(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return `on an uncaught exception: ${text.replaceAll(/\s*\n\s*/g, ' | ')}`
}
