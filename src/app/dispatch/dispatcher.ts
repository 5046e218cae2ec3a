// One application as one front thread serves it: gives each call to a worker that is free, or lets it wait in line.
//
//   dispatch(call) ─▶ a free seat? ──yes──▶ claim it, send
//                          └─no─▶ queue (bounded) ─▶ a worker becomes free in any thread ─▶ the oldest call of all is next
//
// Workers belong to no thread: a seat in shared memory is claimed by compare-and-swap. A thread whose calls wait shows the
// ticket of its oldest one; a thread that has set a seat free wakes the one with the oldest ticket. Both first write, then
// look, so between them no free seat and no waiting call can miss each other.

import { dirname } from 'node:path'
import type { AppNotice, AppRequest, AppSettings } from '../app.ts'
import { ERR } from '../../log/error-log.ts'
import { monotonic } from '../../lib/clock.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { type Call, NOT_LOADED, QUEUE_FULL, QUEUE_TIMEOUT, WORKER_LOST, WORKER_TIMEOUT } from './call.ts'
import { Elastic } from './elastic.ts'
import { lifeOf } from './life.ts'
import { Line, type LineUser } from './line.ts'
import { type DispatcherLink, Links, type Seated } from './links.ts'
import { type AppSnapshot, Load } from './load.ts'
import { Prefetch } from './prefetch.ts'
import {
  APP_MS,
  FAILED,
  LOST,
  QUEUE_MS,
  QUEUE_REFUSED,
  QUEUE_TIMEOUTS,
  QUEUED,
  REQUESTS,
  SeatTable,
  TAKEN_BACK,
  TIMEOUTS,
} from './seats.ts'
import { StreamsLink } from './streams-link.ts'
import { WorkerLink } from './worker-link.ts'

/** What the thread offers. */
export interface DispatcherHost {
  /** Of SeatTable.bytes() bytes, the same for all threads. */
  readonly memory: SharedArrayBuffer
  /** The thread's number, from 0: the one that replaces a thread that has died has the same. */
  readonly owner: number
  toMaster(request: AppRequest): void
  log(level: number, message: string): void
  /** A line as it is, whatever the level. */
  plain(text: string): void
}

/** Tries for a call whose workers went before they read it, beside those that may all have been killed together. */
const ATTEMPTS_MAX = 3
/** Until a worker that could not be connected to is tried again. */
const RECONNECT_MS = 250

export class Dispatcher implements LineUser {
  readonly settings: AppSettings
  readonly timeout: number
  readonly timesWholeRequest: boolean
  private readonly host: DispatcherHost
  private readonly seats: SeatTable
  private readonly links: Links
  /** Requests a worker serves at a time. */
  private readonly capacity: number
  private readonly line: Line
  /** Null where nothing is sent ahead. */
  readonly prefetch: Prefetch | null
  /** Connections that did not come about, with workers that nobody says are gone. */
  private unreached: DispatcherLink[] = []
  private readonly reconnects = new Timer<Dispatcher>(this, reconnect)
  private failed = false
  private stopped = false
  private readonly load: Load
  /** Null where the number of workers is fixed. */
  private readonly elastic: Elastic | null

  constructor(settings: AppSettings, host: DispatcherHost) {
    this.settings = settings
    this.host = host
    this.timeout = settings.timeout
    this.timesWholeRequest = settings.kind === 'sync'
    this.capacity = hasStreams(settings) ? settings.workerConnections : 1
    this.seats = new SeatTable(host.memory)
    this.links = new Links(this.seats, this.capacity, host.owner, settings.kind === 'threads')
    this.line = new Line(this, settings, this.seats, this.links, host.owner)
    this.prefetch =
      settings.kind === 'sync' && settings.prefetch > 0
        ? new Prefetch(this.line, this.seats, this.links, settings.prefetch)
        : null
    this.load = new Load(this.seats, this.capacity)
    this.elastic =
      settings.workersMax > settings.workers
        ? new Elastic(settings, this.links, this.load, this.prefetch, one => host.toMaster(one), host.owner === 0)
        : null
  }

  /** Sends it at once if a worker is free and nobody has come before. */
  dispatch(call: Call): void {
    this.prefetch?.countRead()
    if (!this.line.anybodyWaits) {
      const link = this.links.claim(call)
      if (link !== null) {
        this.serve(link, call)
        return
      }
    }
    this.enqueue(call)
  }

  /** Its client has left. */
  forget(call: Call): void {
    if (call.link !== null) call.link.abandon(call)
    else if (call.queued) {
      this.countWait(call, monotonic())
      this.line.remove(call)
    }
  }

  /** What the master says. */
  notice(notice: AppNotice): void {
    if (notice.type === 'worker') this.admit(notice)
    else if (notice.type === 'gone') this.dismiss(notice.pid)
    else if (!this.links.all.some(link => link.ready)) this.notLoaded()
  }

  /** The server has begun to stop: workers hear of it that may have streams without an end. */
  warn(): void {
    if (this.settings.kind === 'asgi') for (const link of this.links.all) link.warn?.()
  }

  stop(): void {
    this.stopped = true
    this.line.stop()
    this.elastic?.stop()
    this.prefetch?.stop()
    timers.disarm(this.reconnects)
    this.line.clear(QUEUE_TIMEOUT)
    for (const link of this.links.all) link.destroy()
  }

  log(level: number, message: string): void {
    this.host.log(level, `app "${this.settings.name}": ${message}`)
  }

  /** What the application has said for itself. */
  plain(text: string): void {
    this.host.plain(text)
  }

  // ── workers ──────────────────────────────────────────────────────────────────────────────────────────────────────

  private admit(worker: Seated): void {
    const { pid, path } = worker
    this.failed = false
    if (this.stopped || this.links.all.some(link => link.path === path && link.pid === pid)) return
    this.line.join(numberOf(dirname(path)))
    const at = this.seats.open(pid, seatOf(path))
    if (at < 0) this.log(ERR, `no room for worker process ${pid} in the table of workers`)
    else if (hasStreams(this.settings)) this.links.add(new StreamsLink(this, worker, at))
    else this.links.add(new WorkerLink(this, worker, at))
  }

  private dismiss(pid: number): void {
    for (const link of this.unreached) if (link.pid === pid) this.seats.close(link.at, pid)
    this.unreached = this.unreached.filter(link => link.pid !== pid)
    for (const link of this.links.all.filter(one => one.pid === pid)) {
      this.seats.close(link.at, pid)
      link.leave()
    }
  }

  /** For links: it may be claimed from now on. A thread of our number that died had places: the worker has done with them. */
  linkReady(link: DispatcherLink): void {
    if (link.inFlight === 0) this.seats.inherit(link.at, link.pid, this.host.owner)
    this.line.turn()
  }

  /** For links: a place is free that nobody is to have any more. */
  linkDone(link: DispatcherLink): void {
    this.seats.release(link.at, link.pid, this.host.owner)
  }

  /** For links: the worker has done with this call. */
  spent(call: Call): void {
    call.doneMs = monotonic()
    this.seats.count(APP_MS, Math.round(call.doneMs - call.sentMs))
    this.prefetch?.pace.took(call.doneMs - call.sentMs)
  }

  /** For links: it cannot be served. */
  fail(call: Call, why: number, pid: number): void {
    this.seats.count(why === WORKER_LOST ? LOST : why === WORKER_TIMEOUT ? TIMEOUTS : FAILED, 1)
    call.onFailure(why, pid)
  }

  /** For links: the worker takes no more requests. It may take long to go, or be kept by threads of its own: it is replaced now. */
  linkLeaves(link: DispatcherLink): void {
    this.seats.close(link.at, link.pid)
    this.replace(link)
  }

  private replace({ slot, pid }: DispatcherLink): void {
    this.host.toMaster({ type: 'retire', app: this.settings.name, slot, pid })
  }

  /** For links: the worker has done with a call. It goes on with the oldest one at once if that is ours. */
  linkIdle(link: DispatcherLink): void {
    if (!this.line.goesOn) {
      this.seats.release(link.at, link.pid, this.host.owner)
      this.line.passOn()
      return
    }
    this.serve(link, this.line.shift())
    if (this.line.size > 0) this.prefetch?.want()
    this.line.advance()
  }

  /** For links: the connection has ended, and the worker with it as far as we know. */
  linkClosed(link: DispatcherLink): void {
    for (let held = link.inFlight; held > 0; held--) this.linkDone(link)
    this.links.remove(link)
    if (!link.leaving && !link.greeted && !this.stopped) {
      // Other threads may have come through. Where it is not the worker (there are no descriptors left) we will, too.
      this.unreached.push(link)
      timers.arm(this.reconnects, RECONNECT_MS)
      return
    }
    this.seats.close(link.at, link.pid)
    if (!link.leaving) this.replace(link)
  }

  /** For Timer. */
  reconnect(): void {
    for (const link of this.unreached.splice(0)) this.admit(link)
  }

  /** For links: the worker is of no use any more. */
  giveUp(link: DispatcherLink): void {
    this.seats.close(link.at, link.pid)
    this.host.toMaster({ type: 'hung', app: this.settings.name, slot: link.slot, pid: link.pid })
  }

  /** For links: the worker went before it had read the call. False: it has been tried often enough. */
  again(call: Call, pid: number): boolean {
    // Another thread's seat of a worker that has died: we had yet to hear of its end.
    if (call.lostBy === pid) call.attempts--
    call.lostBy = pid
    if (call.attempts >= ATTEMPTS_MAX + this.settings.workersMax || !call.repeatable || this.stopped) return false
    this.notBegun(call)
    this.enqueue(call)
    return true
  }

  /** For links: a call that has been taken back from a worker has its old place in the line. */
  restore(call: Call): void {
    call.attempts--
    this.seats.count(TAKEN_BACK, 1)
    this.notBegun(call)
    if (this.stopped) this.refuse(call, QUEUE_TIMEOUT)
    else this.line.restore(call)
  }

  /** It had been counted as begun, and waits on. */
  private notBegun(call: Call): void {
    if (call.sentMs === 0) return
    this.seats.count(REQUESTS, -1)
    this.seats.count(QUEUE_MS, -Math.round(call.sentMs - call.madeMs))
    call.sentMs = 0
  }

  /** For links: some have been restored. */
  turn(): void {
    this.line.turn()
  }

  /** For the line. */
  serve(link: DispatcherLink, call: Call): void {
    this.begin(link, call)
    link.serve(call)
  }

  /** For links: the worker has come to a call that was sent ahead. */
  promoted(link: DispatcherLink, call: Call | null): void {
    if (call === null) this.countServed(link)
    else this.begin(link, call)
    this.prefetch?.want()
  }

  private begin(link: DispatcherLink, call: Call): void {
    this.seats.count(REQUESTS, 1)
    this.countServed(link)
    call.sentMs = monotonic()
    call.worker = link.pid
    this.countWait(call, call.sentMs)
  }

  private countServed(link: DispatcherLink): void {
    if (this.seats.countServed(link.at) === lifeOf(this.settings, link.pid)) {
      this.host.toMaster({ type: 'retire', app: this.settings.name, slot: link.slot, pid: link.pid })
    }
  }

  // ── the line ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private enqueue(call: Call): void {
    if (this.failed && this.links.all.length === 0) {
      this.refuse(call, NOT_LOADED)
      return
    }
    if (this.waitingCalls >= this.settings.queue) {
      this.refuse(call, QUEUE_FULL)
      return
    }
    // One that comes back has been counted if it had a place before.
    if (call.ticket === 0) this.seats.count(QUEUED, 1)
    this.line.push(call)
    if (this.line.size > 0) this.prefetch?.want()
  }

  /** In line here and in other threads, or with one of our workers before their turn. */
  private get waitingCalls(): number {
    return this.line.waiting + (this.prefetch === null ? 0 : this.prefetch.ahead)
  }

  /** Calls of this thread that no worker has begun. */
  get backlog(): number {
    return this.line.size + (this.prefetch === null ? 0 : this.prefetch.ahead)
  }

  /** For the line. */
  refuse(call: Call, why: number): void {
    if (why === QUEUE_FULL) this.seats.count(QUEUE_REFUSED, 1)
    else {
      if (why === QUEUE_TIMEOUT) this.seats.count(QUEUE_TIMEOUTS, 1)
      this.countWait(call, monotonic())
    }
    call.onFailure(why, 0)
  }

  /** It has waited until then, maybe in vain. */
  private countWait(call: Call, now: number): void {
    const waited = Math.round(now - call.madeMs)
    if (waited > 0) this.seats.count(QUEUE_MS, waited)
  }

  /** For the line. */
  stillWaiting(): void {
    this.elastic?.grow()
  }

  /** What this thread and all others have counted, and what is going on now. */
  snapshot(): AppSnapshot {
    return this.load.snapshot(this.settings, this.links.all, this.waitingCalls)
  }

  private notLoaded(): void {
    this.failed = true
    if (this.links.all.length === 0) this.line.clear(NOT_LOADED)
  }
}

function reconnect(dispatcher: Dispatcher): void {
  dispatcher.reconnect()
}

/** Do its workers serve many requests on one connection? */
function hasStreams({ kind }: AppSettings): boolean {
  return kind === 'asgi' || kind === 'gevent'
}

/** `…-200-3.sock` is the third further seat of process 200, `…-200.sock` its only one. */
function seatOf(path: string): number {
  const match = /-\d+-\d+-(\d+)\.sock$/.exec(path)
  return match === null ? 0 : Number(match[1])
}

/** Not 0. */
function numberOf(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash === 0 ? 1 : hash
}
