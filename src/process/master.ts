// The master: holds the listening sockets, keeps one front running, and carries one configuration over into the next.
//
//   start    bind → folders, logs → front: threads listen → pid file → serving
//   reload   read and check → bind what is new → applications load → new threads listen → old threads retire
//            → old applications stop → addresses no longer used are closed
//            Any failure before "old threads retire" leaves everything as it was.
//   upgrade  pid file → .oldbin → a new master starts with the sockets of this one: both serve until one is told to go
//
// It knows neither the configuration's language nor HTTP nor applications: `Program` brings these.

import { ALERT, CRIT, EMERG, ERR, NOTICE } from '../log/error-log.ts'
import { FrontHandle } from './front-handle.ts'
import { inherited } from './inheritance.ts'
import { MasterPidFile } from './master-pid-file.ts'
import { tryPidFile } from './pid-file.ts'
import { rest } from './rest.ts'
import { provideFolder, provideLogFile } from './privileges.ts'
import { ServiceManager } from './service-manager.ts'
import { Signals } from './signals.ts'
import type { StopSignals, Word } from './signals.ts'
import { ListeningSockets } from './sockets.ts'
import { Successor } from './successor.ts'
import { FrontKeeper } from './front-keeper.ts'
import type { KeeperEvents } from './front-keeper.ts'
import type { Ending } from './messages.ts'
import type { ListenAddress, Plan, TopicMessage } from './plan.ts'
import type { Companions, Program } from './program.ts'

interface Generation {
  readonly number: number
  readonly plan: Plan
  readonly companions: Companions
}

export class Master implements KeeperEvents {
  private readonly program: Program
  private readonly signals: Signals
  private readonly sockets = new ListeningSockets(inherited)
  private readonly front: FrontKeeper
  private readonly daemon: boolean
  private readonly manners: StopSignals
  private readonly pidFile: MasterPidFile
  private readonly serviceManager = new ServiceManager(inherited?.master ?? 0)
  private generation: Generation | null = null
  /** The one a reload prepares. */
  private fresh: Generation | null = null
  /** Their threads still finish requests, and need their applications for it. */
  private readonly old = new Map<number, Generation>()
  /** Nobody needs their applications any more, or never did: these are ending. */
  private readonly leaving = new Set<Generation>()
  private numbers = 0
  private reloading = false
  private reloadAgain = false
  /** Of the one a reload prepares, while they load. */
  private loading: Companions | null = null
  private stopping: Ending | null = null
  /** After Gunicorn's manners the master before this one keeps its pid file as long as it lives. */
  private isSecond = false
  /** A new master, while it runs beside this one. */
  private successor: Successor | null = null

  /** @param front one that was started before the configuration was known */
  constructor(program: Program, front: FrontHandle, daemon: boolean, stopSignals: StopSignals = 'nginx') {
    this.program = program
    this.front = new FrontKeeper(this, front)
    this.daemon = daemon
    this.manners = stopSignals
    this.pidFile = new MasterPidFile(stopSignals, (level, message) => program.log(level, message))
    this.signals = new Signals(message => program.log(NOTICE, message), stopSignals, daemon)
  }

  /** Runs until it is told to stop. @returns the exit code */
  async run(plan: Plan): Promise<number> {
    // Node ends a process that waits for nothing but signals, as a master without a front does.
    const alive = setInterval(() => {}, 2 ** 30)
    const code = await this.serve(plan)
    clearInterval(alive)
    return code
  }

  /** As if a signal had said so. */
  tell(word: Word): void {
    this.signals.note(word)
  }

  /** The sockets of the configuration in use. */
  listening(): { readonly address: ListenAddress; readonly fd: number }[] {
    const listens = this.generation?.plan.listens ?? []
    return listens.map(address => ({ address, fd: this.sockets.fd(address.key) }))
  }

  /** 0: there is none at the moment. */
  get frontPid(): number {
    return this.front.pid
  }

  private async serve(plan: Plan): Promise<number> {
    const failure = await this.start(plan)
    if (failure !== null) {
      if (failure === INTERRUPTED) return await this.finish('fast')
      if (failure === TOLD_TO_QUIT) return await this.finish('graceful')
      this.program.log(EMERG, failure)
      await this.end('fast')
      return 1
    }
    for (;;) {
      const word = await this.signals.next()
      if (word === 'terminate') return await this.finish('fast')
      if (word === 'quit') return await this.finish('graceful')
      if (word === 'reconfigure') this.reload()
      else if (word === 'reopen') this.reopen()
      else if (word === 'stop-front') this.front.halt()
      else if (word === 'upgrade') this.upgrade()
      else this.generation?.companions.resize(word === 'more-workers' ? 1 : -1)
    }
  }

  // ── start ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @returns null, or what prevents it */
  private async start(plan: Plan): Promise<string | null> {
    const opened = await this.sockets.bind(plan.listens, problem => this.program.log(EMERG, problem))
    if (opened === null) return STILL_NOT_BOUND
    this.program.bound()
    this.sockets.closeLegacy()
    const problem = provide(plan) ?? this.tryPidFile(plan)
    if (problem !== null) return problem
    const generation = this.make(plan)
    this.generation = generation
    this.program.adopt(plan)
    const unwritten = this.manners === 'gunicorn' ? this.writePidFile(plan) : null
    if (unwritten !== null) return unwritten
    const starting = this.front.start(generation)
    // The threads start first: who waits for the program waits for them. A request that comes before its application is
    // loaded waits in the queue.
    if (!this.daemon) setImmediate(() => this.startCompanions(generation))
    const early: Word[] = []
    const failure = (await Promise.race([starting, this.interrupted(early)])) ?? this.announce(plan)
    this.signals.abandon()
    for (const word of early) this.signals.note(word)
    // A daemon's applications inherit its standard error, which is the caller's until everything accepts.
    if (this.daemon && failure === null) this.startCompanions(generation)
    return failure
  }

  private startCompanions({ companions }: Generation): void {
    if (this.stopping === null) companions.start()
  }

  private announce(plan: Plan): string | null {
    // nginx's users take it for the word that everything accepts, Gunicorn's have it before the first answer.
    const unwritten = this.manners === 'nginx' ? this.writePidFile(plan) : null
    if (unwritten !== null) return unwritten
    if (this.isSecond || this.sockets.predecessorLives) this.awaitPromotion()
    else this.alone()
    this.program.ready()
    this.serviceManager.ready(this.program.status)
    // While the one before finishes what it has, it does not speak for the service any more.
    this.serviceManager.watch(answered => this.front.ask(answered))
    rest()
    return null
  }

  /** One that cannot be written is not found when everything serves already. @returns null, or why it cannot */
  private tryPidFile({ pidFile }: Plan): string | null {
    if (this.manners !== 'nginx' || pidFile === this.generation?.plan.pidFile) return null
    try {
      tryPidFile(pidFile)
      return null
    } catch (error) {
      return (error as Error).message
    }
  }

  /** @returns null, or why it could not be written */
  private writePidFile(plan: Plan): string | null {
    this.isSecond = this.manners === 'gunicorn' && this.sockets.predecessorLives
    try {
      this.pidFile.write(plan.pidFile, this.isSecond)
      return null
    } catch (error) {
      return (error as Error).message
    }
  }

  /** The program is this one's alone when the master before it has gone. Gunicorn's takes its name then. */
  private awaitPromotion(): void {
    const timer = setInterval(() => {
      if (this.sockets.predecessorLives) return
      clearInterval(timer)
      if (this.stopping !== null || this.generation === null) return
      this.alone()
      if (!this.isSecond) return
      this.program.log(NOTICE, 'the master before this one has gone')
      this.pidFile.promote(this.generation.plan.pidFile)
    }, PROMOTION_MS)
    timer.unref()
  }

  /** No other master is beside this one. */
  private alone(): void {
    this.serviceManager.promoted(this.front)
  }

  /** A signal that ends the program also ends waiting for its start; what others ask for is done afterwards. */
  private async interrupted(early: Word[]): Promise<string> {
    for (;;) {
      const word = await this.signals.next()
      if (word === 'terminate') return INTERRUPTED
      // Some threads may serve already.
      if (word === 'quit') return TOLD_TO_QUIT
      early.push(word)
    }
  }

  private make(plan: Plan): Generation {
    const number = ++this.numbers
    const companions = this.program.companions(plan, number, content => this.front.broadcast(number, content))
    return { number, plan, companions }
  }

  // ── what the front's keeper asks for ─────────────────────────────────────────────────────────────────────────────

  log(level: number, message: string): void {
    this.program.log(level, message)
  }

  spawnFront(): FrontHandle {
    return new FrontHandle(this.program.frontEntry, this.program.frontStderr())
  }

  socket(key: string): number {
    return this.sockets.fd(key)
  }

  current(number: number): readonly TopicMessage[] {
    return this.find(number)?.companions.current() ?? []
  }

  topic(number: number, content: TopicMessage): void {
    this.find(number)?.companions.receive(content)
  }

  inUse(): Generation | null {
    return this.generation
  }

  /** Nobody needs its applications any more. */
  retired(number: number | null): void {
    for (const generation of this.old.values()) {
      if (number !== null && generation.number !== number) continue
      this.old.delete(generation.number)
      void this.dismiss(generation, 'graceful')
    }
  }

  /** The program does not end before its applications have. */
  private async dismiss(generation: Generation, ending: Ending): Promise<void> {
    this.leaving.add(generation)
    await generation.companions.stop(ending, false)
    this.leaving.delete(generation)
  }

  private find(number: number): Generation | undefined {
    if (this.generation?.number === number) return this.generation
    if (this.fresh?.number === number) return this.fresh
    return this.old.get(number)
  }

  // ── reload ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One at a time; what is asked for meanwhile is done once, afterwards. */
  private reload(): void {
    if (this.successor !== null) {
      // The configuration may be the successor's: whoever goes back to the old program wants what it had.
      this.resume()
      return
    }
    if (this.reloading) {
      this.reloadAgain = true
      // It may load for ever, and is out of date.
      if (this.loading !== null) void this.loading.stop('fast', false)
      return
    }
    this.reloading = true
    this.program.log(NOTICE, 'reconfiguring')
    this.serviceManager.reloading()
    void this.reconfigure().then(() => {
      this.reloading = false
      if (this.stopping === null) this.serviceManager.ready(this.program.status)
      rest()
      if (!this.reloadAgain || this.stopping !== null) return
      this.reloadAgain = false
      this.reload()
    })
  }

  private async reconfigure(): Promise<void> {
    const plan = await this.program.load()
    if (plan === null || this.stopping !== null) return
    const opened = await this.sockets.bind(plan.listens, problem => this.program.log(EMERG, problem))
    if (opened === null) {
      this.program.log(EMERG, STILL_NOT_BOUND)
      return
    }
    this.program.bound()
    const error =
      this.stopping === null ? (provide(plan) ?? this.tryPidFile(plan) ?? (await this.succeed(plan))) : INTERRUPTED
    if (error === null) return
    if (this.stopping === null)
      this.program.log(this.reloadAgain ? NOTICE : ERR, `the old configuration stays: ${error}`)
    this.closeUnused(opened)
  }

  /** Starts the new generation and retires the old. @returns null, or why the old one stays */
  private async succeed(plan: Plan): Promise<string | null> {
    const fresh = this.make(plan)
    this.fresh = fresh
    fresh.companions.start()
    this.loading = fresh.companions
    const notLoaded = await fresh.companions.loaded
    this.loading = null
    const error = notLoaded || (await this.front.start(fresh))
    this.fresh = null
    if (error !== null || this.stopping !== null) {
      await this.dismiss(fresh, 'fast')
      return error ?? INTERRUPTED
    }
    this.takeOver(fresh)
    return null
  }

  private takeOver(fresh: Generation): void {
    const old = this.generation
    this.generation = fresh
    this.program.adopt(fresh.plan)
    if (old !== null) {
      this.old.set(old.number, old)
      this.front.retire(old.number)
    }
    this.closeUnused(this.sockets.keys())
    this.pidFile.move(old?.plan.pidFile, fresh.plan.pidFile)
  }

  private closeUnused(keys: readonly string[]): void {
    const used = new Set(this.generation?.plan.listens.map(listen => listen.key))
    for (const key of keys) {
      if (used.has(key) && this.stopping === null) continue
      this.sockets.close(key)
      this.front.closeSocket(key)
    }
  }

  // ── the other words ──────────────────────────────────────────────────────────────────────────────────────────────

  private reopen(): void {
    this.program.log(NOTICE, 'reopening logs')
    const plan = this.generation?.plan
    try {
      for (const file of plan?.logFiles ?? []) provideLogFile(file, plan?.user ?? null)
    } catch (error) {
      this.program.log(EMERG, (error as Error).message)
    }
    this.program.reopenLogs()
    this.front.reopen()
  }

  // ── upgrade ──────────────────────────────────────────────────────────────────────────────────────────────────────

  private upgrade(): void {
    if (this.successor !== null || this.sockets.predecessorLives) {
      this.program.log(
        CRIT,
        "the changing binary signal is ignored: you should shutdown or terminate before either old or new binary's process",
      )
      return
    }
    if (this.generation === null) return
    if (!this.pidFile.stepAside(this.generation.plan.pidFile)) return
    this.generation.companions.beforeUpgrade()
    this.sockets.shared = true
    this.successor = new Successor(this.program.again, this.sockets.descriptors(), (how, orderly) =>
      this.successorEnded(how, orderly),
    )
    this.program.log(NOTICE, `start new binary process ${this.successor.pid}`)
  }

  /** It could not start, or was sent away: everything is as it was. */
  private successorEnded(how: string, orderly: boolean): void {
    this.program.log(orderly ? NOTICE : ALERT, `new binary process ${this.successor?.pid ?? 0} ${how}`)
    this.successor = null
    this.sockets.shared = false
    if (this.stopping !== null || this.generation === null) return
    this.pidFile.stepBack(this.generation.plan.pidFile)
    this.resume()
    this.program.aloneAgain()
  }

  /** After WINCH, which a program that goes on has an end to. */
  private resume(): void {
    if (this.generation !== null && this.front.resume(this.generation)) this.generation.companions.resume()
  }

  private async finish(ending: Ending): Promise<number> {
    if (this.successor === null) this.serviceManager.stopping()
    else this.serviceManager.succeededBy(this.successor.pid)
    await this.end(ending)
    this.program.log(NOTICE, 'exit')
    this.program.flushLogs()
    return 0
  }

  /** Nothing is left when it resolves: no process, no socket file, no pid file. */
  private async end(ending: Ending): Promise<void> {
    this.stopping = ending
    this.program.ending()
    this.sockets.closeAll()
    void this.hasten()
    await this.front.end(ending)
    await this.endCompanions()
    if (this.generation === null) return
    this.pidFile.remove(this.generation.plan.pidFile)
  }

  private async endCompanions(): Promise<void> {
    const ending = this.stopping ?? 'fast'
    const all = [this.generation, this.fresh, ...this.old.values(), ...this.leaving]
    const generations = all.filter(one => one !== null)
    await Promise.all(generations.map(one => one.companions.stop(ending, one === this.generation)))
  }

  /** TERM while it still finishes requests. */
  private async hasten(): Promise<void> {
    while (this.stopping !== 'fast') {
      if ((await this.signals.next()) !== 'terminate') continue
      this.stopping = 'fast'
      void this.front.end('fast')
      void this.endCompanions()
    }
  }
}

const PROMOTION_MS = 250
const INTERRUPTED = 'interrupted'
const TOLD_TO_QUIT = 'told to quit'
const STILL_NOT_BOUND = 'still could not bind()'

/** @returns null, or what could not be provided */
function provide(plan: Plan): string | null {
  try {
    for (const folder of plan.folders) provideFolder(folder, plan.user)
    for (const file of plan.logFiles) provideLogFile(file, plan.user)
    return null
  } catch (error) {
    return (error as Error).message
  }
}
