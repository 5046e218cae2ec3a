// The front process: holds the listening sockets' descriptors, the memory its threads share, and the threads. Its own
// event loop carries no traffic; it does what the master says, and goes when the master does.

import { closeSync, openSync, realpathSync } from 'node:fs'
import { ALERT, ErrorLog, LogFiles, WARN } from '../log/error-log.ts'
import { takeDescriptor } from './descriptor-handle.ts'
import { Generation, toAsk } from './generation.ts'
import { settle } from './privileges.ts'
import { ServiceManager } from './service-manager.ts'
import { rest, restNowAndThen } from './rest.ts'
import { startThreadPool } from './thread-pool.ts'
import { startFailure } from './system-error.ts'
import { ThreadHandle } from './thread-handle.ts'
import type { Handle } from './descriptor-handle.ts'
import type { Surroundings } from './generation.ts'
import type { Ending, FromFront, ToFront } from './messages.ts'
import type { FrontSettings, MemoryRequest } from './plan.ts'
import type { StopSignals } from './signals.ts'

/** Threads that are told to end at once and do not are ended with the process. */
const FAST_END_MS = 1000

/** Runs the front; `threadEntry` is the module its threads run (see thread.ts). */
export function runFront(threadEntry: URL): void {
  const front = new Front(threadEntry)
  process.on('message', (message: ToFront, handle: unknown) => front.receive(message, handle as Handle))
  process.on('disconnect', () => process.exit(0))
  process.on('SIGTERM', () => front.signalled('nginx'))
  process.on('SIGQUIT', () => front.signalled('gunicorn'))
  process.on('SIGUSR1', () => front.reopen())
  // A terminal sends these to all processes; the master is the one who answers them.
  for (const name of ['SIGINT', 'SIGHUP', 'SIGWINCH', 'SIGUSR2'] as const) process.on(name, () => {})
}

class Front implements Surroundings {
  private readonly threadEntry: URL
  private readonly sockets = new Map<string, number>()
  private readonly memory = new Map<string, SharedArrayBuffer>()
  private readonly generations = new Map<number, Generation>()
  private readonly idle: ThreadHandle[] = []
  private logFiles = new LogFiles()
  private errorLog = new ErrorLog([], this.logFiles)
  /** Why a socket that was sent is not there. */
  private notTaken = ''
  private settled = false
  private stopSignals: StopSignals = 'nginx'
  private ending: Ending | null = null

  constructor(threadEntry: URL) {
    this.threadEntry = threadEntry
  }

  receive(message: ToFront, handle: Handle): void {
    switch (message.type) {
      case 'prepare':
        this.prepare(message.threads)
        break
      case 'socket':
        this.take(message.key, handle)
        break
      case 'start':
        this.start(message)
        break
      case 'retire':
        this.retire(message.generation)
        break
      case 'close':
        this.close(message.key)
        break
      case 'stop':
        this.stop(message.ending)
        break
      case 'reopen':
        this.reopen()
        break
      case 'ping':
        this.ping()
        break
      case 'name-main':
        new ServiceManager(0).nameMain(message.pid)
        break
      case 'topic':
        this.generations.get(message.generation)?.broadcast(message.content)
        break
      case 'joined':
        this.generations.get(message.generation)?.join(message.thread, message.contents)
        break
    }
  }

  /** One that cannot be had is missed, and told of, when there is an order. */
  private take(key: string, handle: Handle): void {
    try {
      this.sockets.set(key, takeDescriptor(handle))
    } catch (error) {
      this.notTaken = startFailure(error)
    }
  }

  stop(ending: Ending): void {
    if (this.ending === 'fast' || this.ending === ending) return
    this.ending = ending
    for (const thread of this.idle) thread.stop()
    for (const key of this.sockets.keys()) this.close(key)
    for (const generation of this.generations.values()) {
      if (ending === 'graceful') generation.retire(false)
      else generation.stop()
    }
    if (ending === 'fast') setTimeout(() => this.exit(), FAST_END_MS).unref()
    this.exitIfDone()
  }

  /** @param atOnce in whose manners the signal is not graceful */
  signalled(atOnce: StopSignals): void {
    this.stop(this.stopSignals === atOnce ? 'fast' : 'graceful')
  }

  reopen(): void {
    for (const problem of this.logFiles.reopen()) this.log(WARN, problem)
    for (const generation of this.generations.values()) generation.reopen()
  }

  /** Those that cannot be had now are missed, and told of, when there is an order. */
  private prepare(threads: number): void {
    leaveLostFolder()
    try {
      while (this.idle.length < threads) this.idle.push(new ThreadHandle(this.threadEntry))
    } catch {
      // As the comment says.
    }
  }

  // What generations need.

  log(level: number, message: string): void {
    this.errorLog.log(level, message)
  }

  tell(message: FromFront): void {
    if (process.connected) process.send!(message)
  }

  thread(): ThreadHandle {
    leaveLostFolder()
    for (let thread = this.idle.shift(); thread !== undefined; thread = this.idle.shift()) {
      if (thread.usable) return thread
    }
    return new ThreadHandle(this.threadEntry)
  }

  ended(generation: Generation): void {
    if (!this.generations.delete(generation.settings.number)) return
    this.forgetMemory()
    this.tell({ type: 'retired', generation: generation.settings.number })
    rest()
    this.exitIfDone()
  }

  private start({ generation, settings, keys, data }: Extract<ToFront, { type: 'start' }>): void {
    try {
      startThreadPool()
      this.settle(settings)
      const { threads, shutdownTimeout } = settings
      const sockets = keys.map(key => [key, this.socket(key)] as const)
      const memory = settings.memory.map(request => [request.key, this.shared(request)] as const)
      const own = { number: generation, threads, shutdownTimeout, data, sockets, memory }
      this.generations.set(generation, new Generation(own, this))
      restNowAndThen()
    } catch (error) {
      this.tell({ type: 'failed', generation, error: startFailure(error) })
    }
  }

  private socket(key: string): number {
    const fd = this.sockets.get(key)
    if (fd === undefined) throw new Error(this.notTaken || `there is no socket for ${key}`)
    return fd
  }

  /** User, limits and folder are those of the first configuration: a process cannot become root again. */
  private settle(settings: FrontSettings): void {
    this.stopSignals = settings.stopSignals
    if (!this.settled) {
      const problems: string[] = []
      settle(settings, problem => problems.push(problem))
      this.settled = true
      // Threads that are there already have lost what is kept.
      if (settings.rawSockets) for (const thread of this.idle.splice(0)) thread.stop()
      // Threads to come could not load it, and would not say why.
      closeSync(openSync(this.threadEntry, 'r'))
      this.useLog(settings)
      for (const problem of problems) this.log(ALERT, problem)
    } else this.useLog(settings)
  }

  /** Logs where this configuration says. What only others have named is not held open. */
  private useLog({ errorLog }: FrontSettings): void {
    const files = new LogFiles()
    try {
      this.errorLog = new ErrorLog(errorLog, files)
    } catch (error) {
      files.close()
      throw error
    }
    this.logFiles.close()
    this.logFiles = files
  }

  /** The same memory for the same key and size, zeroed when new. */
  private shared({ key, bytes }: MemoryRequest): SharedArrayBuffer {
    let memory = this.memory.get(key)
    if (memory === undefined || memory.byteLength !== bytes) {
      memory = new SharedArrayBuffer(bytes)
      this.memory.set(key, memory)
    }
    return memory
  }

  /** What no generation uses is given back. */
  private forgetMemory(): void {
    const used = new Set([...this.generations.values()].flatMap(({ settings }) => settings.memory.map(([key]) => key)))
    for (const key of this.memory.keys()) if (!used.has(key)) this.memory.delete(key)
  }

  private retire(number: number): void {
    const generation = this.generations.get(number)
    // A front that was started since has never had it.
    if (generation === undefined) this.tell({ type: 'retired', generation: number })
    else generation.retire(true)
  }

  /** Threads that only finish what they have are not asked. */
  private ping(): void {
    toAsk(this.generations.values())?.ping()
  }

  private close(key: string): void {
    const fd = this.sockets.get(key)
    if (fd === undefined) return
    this.sockets.delete(key)
    closeSync(fd)
  }

  private exitIfDone(): void {
    if (this.ending !== null && this.generations.size === 0) this.exit()
  }

  private exit(): never {
    this.logFiles.flush()
    process.exit(0)
  }
}

/** Node's threads do not start in a folder that has been removed, as that of an old release the program was started in. */
function leaveLostFolder(): void {
  try {
    realpathSync.native('.')
  } catch {
    process.chdir('/')
  }
}
