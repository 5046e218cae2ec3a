// Inside a front thread: takes orders from the front's main thread and has the program (which knows HTTP) carry them out.
// A thread ends by itself when its program has finished; an uncaught exception ends it too, and the front replaces it.

import { parentPort } from 'node:worker_threads'
import { delay } from '../lib/longest-delay.ts'
import type { FromThread, ThreadOrder, ToThread } from './messages.ts'
import type { TopicMessage } from './plan.ts'
import { startFailure } from './system-error.ts'

/** What is to run in the thread. */
export interface ThreadProgram {
  /** Resolves when connections are accepted on every descriptor; rejects with an Error worded for the log. */
  start(order: ThreadOrder, send: (content: TopicMessage) => void): Promise<void>
  /** Takes no more connections and calls `onIdle` when the last has been served. With `grace` it may be called again, without. */
  retire(grace: boolean, onIdle: () => void): void
  /** Ends everything at once: logs are complete when it returns. */
  stop(): void
  reopen(): void
  receive(content: TopicMessage): void
}

export function runThread(program: ThreadProgram): void {
  const port = parentPort
  if (port === null) throw new Error('a front thread is started by a front process')
  const tell = (message: FromThread): void => port.postMessage(message)
  let started = false
  let deadline: NodeJS.Timeout | null = null

  const leave = (): void => {
    if (deadline !== null) clearTimeout(deadline)
    if (started) program.stop()
    process.exit(0)
  }
  const start = (order: ThreadOrder): void => {
    program
      .start(order, content => tell({ type: 'topic', content }))
      .then(
        () => tell({ type: 'listening' }),
        (error: unknown) => tell({ type: 'failed', error: startFailure(error) }),
      )
    started = true
  }

  port.on('message', (message: ToThread) => {
    switch (message.type) {
      case 'start':
        start(message.order)
        break
      case 'retire':
        if (!started) leave()
        if (message.timeout > 0) deadline ??= setTimeout(leave, delay(message.timeout))
        program.retire(message.grace, leave)
        break
      case 'stop':
        leave()
        break
      case 'reopen':
        if (started) program.reopen()
        break
      case 'ping':
        tell({ type: 'pong' })
        break
      case 'topic':
        program.receive(message.content)
        break
    }
  })
}
