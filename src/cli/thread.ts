// A front thread's entry: compiles the configuration from the text the master has read, and serves it.

import { isMainThread, threadId } from 'node:worker_threads'
import { BundleSource } from '../config/source.ts'
import type { CompiledHttp } from '../http/server/compile.ts'
import type { CompiledMail } from '../mail/compile.ts'
import type { CompiledStream } from '../stream/compile.ts'
import { limitConnections } from '../upstream/connection-limit.ts'
import type { ThreadServices } from '../http/setup.ts'
import { ErrorLog, LogFiles, WARN } from '../log/error-log.ts'
import type { ThreadOrder } from '../process/messages.ts'
import type { TopicMessage } from '../process/plan.ts'
import { runThread } from '../process/thread.ts'
import type { ThreadProgram } from '../process/thread.ts'
import { compile, parse } from './configuration.ts'
import type { ThreadData } from './configuration.ts'

class HttpThread implements ThreadProgram {
  private readonly logFiles = new LogFiles()
  private readonly receivers = new Map<string, ((message: unknown) => void)[]>()
  private http: CompiledHttp | null = null
  private stream: CompiledStream | null = null
  private mail: CompiledMail | null = null
  private errorLog = new ErrorLog([], this.logFiles)

  async start(order: ThreadOrder, send: (content: TopicMessage) => void): Promise<void> {
    const { invocation, asRoot, bundle } = order.data as ThreadData
    // The master has told the warnings already.
    const source = new BundleSource(bundle)
    const { main, http, stream, mail } = compile(source, parse(source, invocation), invocation, asRoot, () => {})
    this.errorLog = new ErrorLog(main.errorLog, this.logFiles, threadId)
    this.http = http
    this.stream = stream
    this.mail = mail
    const services = this.services(order, send)
    const descriptors = new Map(order.descriptors)
    const limit = limitConnections(main.connections, message => this.errorLog.log(WARN, message))
    await http.start(services, descriptors, limit)
    await stream.start(services, descriptors, limit)
    await mail.start(services, descriptors, limit)
  }

  retire(grace: boolean, onIdle: () => void): void {
    const { http, stream, mail } = this
    if (http === null || stream === null || mail === null) onIdle()
    else {
      // All stop accepting at once, however long the others' connections last.
      let busy = 3
      const done = (): void => {
        if (--busy === 0) onIdle()
      }
      http.retire(grace, done)
      stream.retire(false, done)
      mail.retire(false, done)
    }
  }

  stop(): void {
    this.http?.stop()
    this.stream?.stop()
    this.mail?.stop()
    this.logFiles.flush()
  }

  reopen(): void {
    for (const problem of this.logFiles.reopen()) this.errorLog.log(WARN, problem)
  }

  receive({ topic, message }: TopicMessage): void {
    for (const receive of this.receivers.get(topic) ?? []) receive(message)
  }

  private services(order: ThreadOrder, send: (content: TopicMessage) => void): ThreadServices {
    const memory = new Map(order.memory)
    return {
      thread: order.thread,
      threads: order.threads,
      errorLog: this.errorLog,
      logFiles: this.logFiles,
      shared: key => memory.get(key)!,
      toMaster: (topic, message) => send({ topic, message }),
      onMessage: (topic, receive) => {
        const known = this.receivers.get(topic)
        if (known === undefined) this.receivers.set(topic, [receive])
        else known.push(receive)
      },
    }
  }
}

// The master only loads it (run.ts).
if (!isMainThread) runThread(new HttpThread())
