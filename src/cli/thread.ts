// A front thread's entry: compiles the configuration from the text the master has read, and serves it.

import { isMainThread, threadId } from 'node:worker_threads'
import { BundleSource } from '../config/source.ts'
import { APPLICATIONS } from '../http/app/application.ts'
import type { CompiledHttp } from '../http/server/compile.ts'
import type { CompiledMail } from '../mail/compile.ts'
import type { CompiledStream } from '../stream/compile.ts'
import { COUNTS_KEY, useConnectionCounts } from '../zone/connection-counts.ts'
import { limitConnections } from '../upstream/connection-limit.ts'
import type { ThreadServices } from '../http/setup.ts'
import { closeUdp } from '../net/udp-socket.ts'
import { ALERT, ErrorLog, LogFiles, NOTICE, WARN } from '../log/error-log.ts'
import type { ThreadOrder } from '../process/messages.ts'
import { bindToCpus } from '../process/limits.ts'
import type { TopicMessage } from '../process/plan.ts'
import { runThread } from '../process/thread.ts'
import type { ThreadProgram } from '../process/thread.ts'
import { compile, parse } from './configuration.ts'
import type { ThreadData } from './configuration.ts'
import { cpusFor, type CpuAffinity } from './cpu-affinity.ts'
import { echo, ECHO_TOPIC } from './echoes.ts'
import { Farewell, FAREWELL_TOPIC } from './farewell.ts'
import { threadReport } from './thread-report.ts'
import type { ReportRequest } from './thread-report.ts'
import { REPORT_TOPIC } from './thread-reports.ts'

class HttpThread implements ThreadProgram {
  private readonly logFiles = new LogFiles()
  private readonly receivers = new Map<string, ((message: unknown) => void)[]>()
  /** Our own, of addresses that nothing listens on yet. */
  private descriptors = new Map<string, number>()
  private http: CompiledHttp | null = null
  private stream: CompiledStream | null = null
  private mail: CompiledMail | null = null
  private errorLog = new ErrorLog([], this.logFiles)
  /** Null where no application wants to know. */
  private farewell: (() => Farewell) | null = null
  private begun: Farewell | undefined

  async start(order: ThreadOrder, send: (content: TopicMessage) => void): Promise<void> {
    this.descriptors = new Map(order.descriptors)
    try {
      await this.serve(order, send)
    } finally {
      this.closeUnused()
    }
  }

  private async serve(order: ThreadOrder, send: (content: TopicMessage) => void): Promise<void> {
    const { invocation, asRoot, bundle } = order.data as ThreadData
    // The master has told the warnings already.
    const source = new BundleSource(bundle)
    const { main, http, stream, mail } = compile(source, parse(source, invocation), invocation, asRoot, () => {})
    this.errorLog = new ErrorLog(main.errorLog, this.logFiles, threadId)
    this.bind(main.cpuAffinity, order.thread)
    this.http = http
    this.stream = stream
    this.mail = mail
    const services = this.services(order, send)
    useConnectionCounts(services.shared(COUNTS_KEY))
    const limit = limitConnections(main.connections, message => this.errorLog.log(WARN, message))
    services.onMessage(REPORT_TOPIC, ({ id }: ReportRequest) => {
      const applications = http.registry(APPLICATIONS).values()
      services.toMaster(REPORT_TOPIC, threadReport(id, order.thread, applications))
    })
    services.onMessage(ECHO_TOPIC, (id: number) => echo(() => services.toMaster(ECHO_TOPIC, id)))
    if (Array.from(http.registry(APPLICATIONS).values()).some(({ settings }) => settings.kind === 'node')) {
      const tell = (): void => services.toMaster(FAREWELL_TOPIC, order.thread)
      this.farewell = () => new Farewell(http, main.shutdownTimeout, tell)
    }
    await http.start(services, this.descriptors, limit)
    await stream.start(services, this.descriptors, limit)
    await mail.start(services, this.descriptors, limit)
  }

  /** What is another thread's to serve, and all that a start which has failed did not come to: open it would go on listening. */
  private closeUnused(): void {
    for (const fd of this.descriptors.values()) closeUdp(fd)
    this.descriptors.clear()
  }

  private bind(affinity: CpuAffinity | null, thread: number): void {
    const cpus = cpusFor(affinity, thread)
    if (cpus === null) return
    for (const cpu of cpus) this.errorLog.log(NOTICE, `sched_setaffinity(): using cpu #${cpu}`)
    const refusal = bindToCpus(cpus)
    if (refusal !== '') this.errorLog.log(ALERT, `sched_setaffinity() failed (${refusal})`)
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
      if (!grace) for (const application of http.registry(APPLICATIONS).values()) application.warn()
      this.begun ??= this.farewell?.()
      http.retire(grace, () => {
        this.begun?.say()
        done()
      })
      stream.retire(false, done)
      mail.retire(false, done)
    }
  }

  stop(): void {
    this.http?.stop()
    this.stream?.stop()
    this.mail?.stop()
    this.closeUnused()
    // The sockets to syslog servers are the process's, and would outlive the thread.
    this.logFiles.close()
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
      listening: order.descriptors.map(([, fd]) => fd),
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
