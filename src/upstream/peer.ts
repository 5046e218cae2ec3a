// One server of a group: where it is, what it may be asked to bear, and how it has been doing. All its numbers lie side by
// side; in a group with a `zone` they lie in memory all threads share (shared-peers.ts).

import { createHash } from 'node:crypto'
import { unixSeconds } from '../lib/clock.ts'
import type { Address } from '../net/connection.ts'
import { addWide, readWide, setWide } from '../zone/wide-counter.ts'

export interface PeerOptions {
  readonly weight?: number
  /** Connections at a time; 0: no limit. */
  readonly maxConns?: number
  /** Failures within failTimeout after which it is left alone for as long; 0: never. */
  readonly maxFails?: number
  /** Seconds, as nginx counts them. */
  readonly failTimeout?: number
  /** Milliseconds in which a peer that has come back gains its weight. */
  readonly slowStart?: number
  readonly down?: boolean
  /** Only requests bound to it by `sticky` still get there. */
  readonly drain?: boolean
  /** What `sticky` calls it, instead of a hash of its address. */
  readonly route?: string
  /** As the configuration names it; hashing goes by that, for addresses may change. */
  readonly server?: string
}

// Why a peer is not to be used, as bits.
export const DOWN = 1
/** Health checks have failed. */
export const UNHEALTHY = 2
/** A mandatory health check has not passed yet. */
export const CHECKING = 4
export const DRAINING = 8

// The numbers of a peer, in their order. Those of two words are called WIDE.
const CONNS = 0
const CURRENT_WEIGHT = 1
/** What failures have taken off its weight. */
const LOST_WEIGHT = 2
const FAILS = 3
const ACCESSED = 4
const CHECKED = 5
const WEIGHT = 6
const MAX_CONNS = 7
const MAX_FAILS = 8
const FAIL_TIMEOUT = 9
const SLOW_START = 10
export const OFF = 11
// Averages in ms, and what least_time knows of requests under way.
const HEADER_TIME = 12
const RESPONSE_TIME = 13
const INFLIGHT_TIME = 14
const INFLIGHT_LAST = 15
const INFLIGHT_CHANGED = 16
const INFLIGHT = 17
/** WIDE: Date.now() when it came back, while it still gains weight; 0. */
const BACK_SINCE = 18
// Totals, all WIDE.
export const REQUESTS = 20
export const RESPONSES_1XX = 22
export const SENT = 32
export const RECEIVED = 34
export const FAILURES = 36
export const UNAVAILABLE = 38
export const CHECKS = 40
export const CHECK_FAILURES = 42
export const CHECK_UNHEALTHY = 44
export const DOWNTIME = 46
/** WIDE: Date.now() since when it is out of use; 0. */
export const DOWN_SINCE = 48
/** WIDE: Date.now() when it was last chosen. */
export const SELECTED = 50
/** Of the last health check: 0 none yet, 1 passed, 2 failed. */
export const LAST_CHECK = 52
/** Health checks passed, less than 0: failed, in a row. */
export const CHECK_ROW = 53
export const NUMBERS = 56

/** Bytes of shared memory a peer's numbers take. */
export const PEER_BYTES = NUMBERS * 4

export class Peer {
  /** As logs and $upstream_addr show it: `127.0.0.1:8080`, `[::1]:80`, `unix:/run/app.sock`. */
  readonly name: string
  readonly address: Address
  readonly server: string
  /** The same without a port. */
  readonly host: string
  /** '' until somebody wants to know. */
  private bond: string
  /** Its number in the API; 0 outside zones. */
  readonly id: number
  numbers: Int32Array
  /** How many of its requests are this thread's. */
  private held = 0
  /** Part of a weight that slow_start has yet to give. */
  private gained = 0

  constructor(name: string, address: Address, options: PeerOptions = {}, id = 0, numbers: Int32Array | null = null) {
    this.name = name
    this.address = address
    this.server = options.server ?? name
    this.host = this.server.replace(/:\d*$/, '')
    this.bond = options.route ?? ''
    this.id = id
    this.numbers = numbers ?? new Int32Array(NUMBERS)
    if (numbers === null) setOptions(this.numbers, options)
  }

  /** What binds a client to it (`sticky`): its route, or a hash of its name. */
  get sid(): string {
    if (this.bond === '') this.bond = createHash('md5').update(this.name, 'latin1').digest('hex')
    return this.bond
  }

  /** Requests it is busy with. */
  get conns(): number {
    return this.numbers[CONNS]!
  }
  get currentWeight(): number {
    return this.numbers[CURRENT_WEIGHT]!
  }
  set currentWeight(weight: number) {
    this.numbers[CURRENT_WEIGHT] = weight
  }
  get effectiveWeight(): number {
    return this.weight - this.numbers[LOST_WEIGHT]!
  }
  set effectiveWeight(weight: number) {
    this.numbers[LOST_WEIGHT] = this.weight - weight
  }
  get fails(): number {
    return this.numbers[FAILS]!
  }
  set fails(count: number) {
    this.numbers[FAILS] = count
  }
  /** Seconds: when it failed last, and when it was last found worth a try. */
  get accessed(): number {
    return this.numbers[ACCESSED]!
  }
  get checked(): number {
    return this.numbers[CHECKED]!
  }
  get weight(): number {
    return this.numbers[WEIGHT]!
  }
  get maxConns(): number {
    return this.numbers[MAX_CONNS]!
  }
  get maxFails(): number {
    return this.numbers[MAX_FAILS]!
  }
  get failTimeout(): number {
    return this.numbers[FAIL_TIMEOUT]!
  }
  get slowStart(): number {
    return this.numbers[SLOW_START]!
  }
  /** 0, or why it is not to be used. */
  get down(): number {
    return this.numbers[OFF]!
  }
  get headerTime(): number {
    return this.numbers[HEADER_TIME]!
  }
  get responseTime(): number {
    return this.numbers[RESPONSE_TIME]!
  }
  get inflight(): number {
    return this.numbers[INFLIGHT]!
  }
  get inflightTime(): number {
    return this.numbers[INFLIGHT_TIME]!
  }

  // ── being chosen ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** May it be given a request now? */
  available(now: number): boolean {
    return this.down === 0 && this.willing(now)
  }

  /** As available(), for a request that is bound to it: draining it still serves. */
  availableForOwn(now: number): boolean {
    return (this.down & ~DRAINING) === 0 && this.willing(now)
  }

  private willing(now: number): boolean {
    if (this.maxConns !== 0 && this.conns >= this.maxConns) return false
    return !this.disabled || now - this.checked > this.failTimeout
  }

  /** It has failed max_fails times. */
  get disabled(): boolean {
    return this.maxFails !== 0 && this.fails >= this.maxFails
  }

  /** It was chosen: after a pause this request is the one that finds out how it is.
   *  @returns false: another thread has just taken the last of its max_conns */
  enter(now: number): boolean {
    const before = Atomics.add(this.numbers, CONNS, 1)
    if (this.maxConns !== 0 && before >= this.maxConns) {
      Atomics.sub(this.numbers, CONNS, 1)
      return false
    }
    this.held++
    if (now - this.checked > this.failTimeout) this.numbers[CHECKED] = now
    return true
  }

  /** The request it was chosen for is over. */
  leave(): void {
    this.held--
    Atomics.sub(this.numbers, CONNS, 1)
  }

  /** The thread ends: its requests are over. */
  leaveAll(): void {
    Atomics.sub(this.numbers, CONNS, this.held)
    this.held = 0
  }

  /** What it weighs at present: less than its weight while it starts slowly. */
  get share(): number {
    const { weight } = this
    return this.slowStart === 0 ? weight : weight * this.ramp()
  }

  /** A turn's income in round robin; whole numbers that add up to its share over the turns. */
  income(): number {
    const weight = this.effectiveWeight
    if (this.slowStart === 0) return weight
    const ramp = this.ramp()
    if (ramp === 1) return weight
    this.gained += weight * ramp
    const whole = Math.trunc(this.gained)
    this.gained -= whole
    return whole
  }

  /** From 0, when it came back, to 1. */
  private ramp(): number {
    const since = readWide(this.numbers, BACK_SINCE)
    if (since === 0) return 1
    const part = (Date.now() - since) / this.slowStart
    if (part < 1) return Math.max(part, 0.001)
    setWide(this.numbers, BACK_SINCE, 0)
    return 1
  }

  /** It can be used again after it could not. */
  comesBack(): void {
    if (this.slowStart > 0) setWide(this.numbers, BACK_SINCE, Date.now())
  }

  // ── how it did ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** @returns true when this failure disables it for a while */
  failed(now: number): boolean {
    const { numbers, weight, maxFails } = this
    const fails = Atomics.add(numbers, FAILS, 1) + 1
    numbers[ACCESSED] = now
    numbers[CHECKED] = now
    if (maxFails === 0) return false
    this.effectiveWeight = Math.max(0, this.effectiveWeight - Math.trunc(weight / maxFails))
    if (fails === maxFails) this.goesOut()
    return fails >= maxFails
  }

  /** It answered: failures from before it was checked are forgotten. */
  succeeded(): void {
    if (this.accessed >= this.checked || this.fails === 0) return
    if (this.disabled) {
      this.settleDowntime()
      this.comesBack()
    }
    this.fails = 0
  }

  /** Takes bits of `down` off and puts others on. */
  setDown(off: number, on: number): void {
    const before = this.down
    Atomics.and(this.numbers, OFF, ~off)
    const now = Atomics.or(this.numbers, OFF, on)
    const after = now | on
    const out = ~DRAINING
    if ((before & out) === 0 && (after & out) !== 0) this.goesOut()
    else if ((before & out) !== 0 && (after & out) === 0) {
      this.settleDowntime()
      this.comesBack()
    }
  }

  private goesOut(): void {
    addWide(this.numbers, UNAVAILABLE, 1)
    if (readWide(this.numbers, DOWN_SINCE) === 0) setWide(this.numbers, DOWN_SINCE, Date.now())
  }

  private settleDowntime(): void {
    const since = readWide(this.numbers, DOWN_SINCE)
    if (since === 0) return
    setWide(this.numbers, DOWN_SINCE, 0)
    addWide(this.numbers, DOWNTIME, Math.max(0, Math.min(Date.now() - since, 0xffffffff)))
  }

  // ── how long it takes ────────────────────────────────────────────────────────────────────────────────────────────

  addHeaderTime(ms: number): void {
    average(this.numbers, HEADER_TIME, ms)
  }

  addResponseTime(ms: number): void {
    average(this.numbers, RESPONSE_TIME, ms)
  }

  /** The requests under way are looked at: how long they have taken so far, on the average. */
  lookAtInflight(): void {
    const { numbers, inflight } = this
    if (inflight <= 0) return
    const taken = Math.trunc(numbers[INFLIGHT_LAST]! / inflight) + ((clock() - numbers[INFLIGHT_CHANGED]!) | 0)
    average(numbers, INFLIGHT_TIME, taken)
  }

  beginInflight(): void {
    const { numbers } = this
    if (this.inflight > 0) numbers[INFLIGHT_LAST]! += ((clock() - numbers[INFLIGHT_CHANGED]!) | 0) * this.inflight
    else numbers[INFLIGHT_LAST] = 0
    numbers[INFLIGHT_CHANGED] = clock()
    Atomics.add(numbers, INFLIGHT, 1)
  }

  /** @param ms what the request that is over has taken */
  endInflight(ms: number): void {
    const { numbers, inflight } = this
    if (inflight <= 1) numbers[INFLIGHT_LAST] = 0
    else {
      numbers[INFLIGHT_LAST]! += ((clock() - numbers[INFLIGHT_CHANGED]!) | 0) * inflight - ms
      numbers[INFLIGHT_CHANGED] = clock()
    }
    if (inflight > 0) Atomics.sub(numbers, INFLIGHT, 1)
  }
}

const INT32_MAX = 0x7fffffff

/** Writes what a configuration says of a peer among its numbers. */
export function setOptions(numbers: Int32Array, options: PeerOptions): void {
  numbers[WEIGHT] = options.weight ?? 1
  numbers[MAX_CONNS] = Math.min(options.maxConns ?? 0, INT32_MAX)
  numbers[MAX_FAILS] = Math.min(options.maxFails ?? 1, INT32_MAX)
  numbers[FAIL_TIMEOUT] = Math.min(options.failTimeout ?? 10, INT32_MAX)
  numbers[SLOW_START] = Math.min(options.slowStart ?? 0, INT32_MAX)
  const off = (options.down === true ? DOWN : 0) | (options.drain === true ? DRAINING : 0)
  // What health checks have found out stays.
  numbers[OFF] = (numbers[OFF]! & (UNHEALTHY | CHECKING)) | off
}

/** Milliseconds modulo 2^32: for differences. */
function clock(): number {
  return Date.now() | 0
}

/** An exponential moving average, rounded as nginx rounds it. */
function average(numbers: Int32Array, at: number, ms: number): void {
  const before = numbers[at]!
  numbers[at] = before === 0 ? ms : Math.trunc(0.5 + ms * 0.05 + before * 0.95)
}

/** So that the clock's seconds fit 32 bits for long: the beginning of 2020. */
const EPOCH = 1_577_836_800

/** Seconds, the clock of all of this. */
export function seconds(): number {
  return unixSeconds() - EPOCH
}
