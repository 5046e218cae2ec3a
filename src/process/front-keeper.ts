// Keeps one front process: starts it, gives it sockets and generations to serve, and starts another when it dies.

import { constants } from 'node:os'
import { ALERT, NOTICE } from '../log/error-log.ts'
import { FrontHandle } from './front-handle.ts'
import type { FrontEvents } from './front-handle.ts'
import type { Ending, FromFront } from './messages.ts'
import type { Plan, TopicMessage } from './plan.ts'

/** What a front serves. */
export interface Order {
  readonly number: number
  readonly plan: Plan
}

/** Where its own complaints go: to those of the master, nowhere, or to a descriptor. */
export type FrontStderr = 'inherit' | 'ignore' | number

/** What the keeper needs of the master. */
export interface KeeperEvents {
  log(level: number, message: string): void
  spawnFront(): FrontHandle
  /** The descriptor of a listening socket. */
  socket(key: string): number
  /** What a thread that joins has to be told. */
  current(generation: number): readonly TopicMessage[]
  topic(generation: number, content: TopicMessage): void
  /** None of its threads is left; null: none of any but the current generation's. */
  retired(generation: number | null): void
  /** What a new front is to serve in place of one that has died; null: nothing. */
  inUse(): Order | null
}

/** A front that dies sooner than this after its start is not replaced at once. */
const SHORT_LIFE_MS = 1000

export class FrontKeeper implements FrontEvents {
  private readonly master: KeeperEvents
  /** The sockets each front has been given. */
  private readonly handed = new WeakMap<FrontHandle, Set<string>>()
  private front: FrontHandle | null
  /** The generation whose threads are being started, and who waits for them. */
  private starting: { readonly number: number; readonly done: (error: string | null) => void } | null = null
  private ending: Ending | null = null
  /** After WINCH nothing accepts until a reload. */
  private halted = false
  private onExit: (() => void) | null = null
  private onAnswer: (() => void) | null = null

  /** @param front one that was started before there was an order */
  constructor(master: KeeperEvents, front: FrontHandle) {
    this.master = master
    this.front = front
  }

  /** 0: there is none at the moment. */
  get pid(): number {
    return this.front?.pid ?? 0
  }

  /** Resolves when the generation's threads accept, or with the reason why they do not. */
  async start(order: Order): Promise<string | null> {
    // A front that is just being replaced takes the order when it has come up.
    while (this.starting !== null) await new Promise(resolve => setTimeout(resolve, 20))
    if (this.ending !== null) return 'the front process is ending'
    this.halted = false
    return this.startThreads(order)
  }

  retire(generation: number): void {
    if (this.front === null) this.master.retired(generation)
    else this.front.send({ type: 'retire', generation })
  }

  closeSocket(key: string): void {
    if (this.front === null || !this.sentTo(this.front).delete(key)) return
    this.front.send({ type: 'close', key })
  }

  broadcast(generation: number, content: TopicMessage): void {
    this.front?.send({ type: 'topic', generation, content })
  }

  reopen(): void {
    this.front?.send({ type: 'reopen' })
  }

  /** Calls back when all threads have answered: at once where none is wanted, and never where they do not. */
  ask(answered: () => void): void {
    if (this.halted) {
      answered()
      return
    }
    this.onAnswer = answered
    this.front?.send({ type: 'ping' })
  }

  /** For the service manager. */
  nameMain(pid: number): void {
    this.front?.send({ type: 'name-main', pid })
  }

  halt(): void {
    this.halted = true
    this.front?.stop('graceful')
  }

  /** Serves again what was served before the halt. False: there was none, or it is too late. */
  resume(order: Order): boolean {
    if (!this.halted || this.ending !== null) return false
    void this.start(order).then(error => {
      if (error !== null && this.ending === null) this.master.log(ALERT, error)
    })
    return true
  }

  /** Resolves when it is gone. A second call may only hasten it. */
  end(ending: Ending): Promise<void> {
    this.ending = ending
    const front = this.front
    if (front === null) return Promise.resolve()
    return new Promise(resolve => {
      const before = this.onExit
      this.onExit = () => {
        before?.()
        resolve()
      }
      front.attach(this)
      // One that still loads its code hears nothing, and has nothing to finish.
      if (ending === 'fast' && !front.serving) front.kill()
      else front.stop(ending)
    })
  }

  // ── reports of the front ─────────────────────────────────────────────────────────────────────────────────────────

  message(front: FrontHandle, message: FromFront): void {
    if (front !== this.front) return
    switch (message.type) {
      case 'join':
        front.send({ ...message, type: 'joined', contents: this.master.current(message.generation) })
        break
      case 'listening':
        front.serving = true
        this.started(message.generation, null)
        break
      case 'failed':
        this.started(message.generation, message.error)
        break
      case 'retired':
        this.master.retired(message.generation)
        break
      case 'pong':
        this.onAnswer?.()
        this.onAnswer = null
        break
      case 'topic':
        this.master.topic(message.generation, message.content)
        break
    }
  }

  exited(front: FrontHandle, code: number | null, signal: NodeJS.Signals | null): void {
    const how = signal === null ? `exited with code ${code}` : `exited on signal ${constants.signals[signal]}`
    const orderly = code === 0 || this.ending === 'fast'
    // Whoever has had it started is told, and tells.
    if (front.failure === '') this.master.log(orderly ? NOTICE : ALERT, `worker process ${front.pid} ${how}`)
    if (front !== this.front) return
    this.front = null
    this.master.retired(null)
    this.onExit?.()
    const waiting = this.starting
    this.starting = null
    waiting?.done(front.failure || `the front process ${how} before it listened`)
    this.replace(front)
  }

  /** The last good configuration again; the sockets have been open all the time. */
  private replace(old: FrontHandle): void {
    const lasted = old.serving && performance.now() - old.startedAt >= SHORT_LIFE_MS
    setTimeout(() => this.restore(), lasted ? 0 : SHORT_LIFE_MS).unref()
  }

  private restore(): void {
    const order = this.master.inUse()
    if (this.ending !== null || this.halted || this.front !== null || order === null) return
    void this.startThreads(order).then(error => {
      if (error === null || this.ending !== null) return
      this.master.log(ALERT, error)
      // A front whose threads cannot start is of no use; the next is started a moment later.
      this.front?.kill()
    })
  }

  // ── orders for the front ─────────────────────────────────────────────────────────────────────────────────────────

  private startThreads(order: Order): Promise<string | null> {
    this.master.log(NOTICE, 'start worker processes')
    return new Promise(resolve => {
      this.starting = { number: order.number, done: resolve }
      // One that is on its way out finishes what it has; its exit is only noted.
      if (this.front === null || this.front.leaving) this.front = this.master.spawnFront()
      const front = this.front
      front.attach(this)
      this.send(front, order)
    })
  }

  private send(front: FrontHandle, { number, plan }: Order): void {
    const { listens, folders: _folders, logFiles: _logFiles, pidFile: _pidFile, data, ...settings } = plan
    const keys = listens.map(listen => listen.key)
    const sent = this.sentTo(front)
    for (const { key, udp = false } of listens) {
      if (sent.has(key)) continue
      sent.add(key)
      front.sendSocket(key, this.master.socket(key), udp)
    }
    front.send({ type: 'start', generation: number, settings, keys, data })
  }

  private sentTo(front: FrontHandle): Set<string> {
    let keys = this.handed.get(front)
    if (keys === undefined) {
      keys = new Set()
      this.handed.set(front, keys)
    }
    return keys
  }

  private started(number: number, error: string | null): void {
    const waiting = this.starting
    if (waiting === null || waiting.number !== number) return
    this.starting = null
    waiting.done(error)
  }
}
