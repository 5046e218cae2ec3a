// One server of a group: where it is, and how it has been doing. What is counted is one thread's own experience, unless
// the group has a `zone`: then the numbers lie in memory all threads share.

import type { Address } from '../net/connection.ts'

export interface PeerOptions {
  readonly weight?: number
  /** Connections at a time; 0: no limit. */
  readonly maxConns?: number
  /** Failures within failTimeout after which it is left alone for as long; 0: never. */
  readonly maxFails?: number
  /** Seconds, as nginx counts them. */
  readonly failTimeout?: number
  readonly down?: boolean
  /** As the configuration names it; hashing goes by that, for addresses may change. */
  readonly server?: string
}

// The numbers of a peer, in their order.
const CONNS = 0
const CURRENT_WEIGHT = 1
/** What failures have taken off its weight. */
const LOST_WEIGHT = 2
const FAILS = 3
const ACCESSED = 4
const CHECKED = 5
const NUMBERS = 6

/** Bytes of shared memory a peer's numbers take. */
export const PEER_BYTES = NUMBERS * 4

export class Peer {
  /** As logs and $upstream_addr show it: `127.0.0.1:8080`, `[::1]:80`, `unix:/run/app.sock`. */
  readonly name: string
  readonly address: Address
  readonly weight: number
  readonly maxConns: number
  readonly maxFails: number
  readonly failTimeout: number
  down: boolean
  readonly server: string
  private numbers: Int32Array = new Int32Array(NUMBERS)

  constructor(name: string, address: Address, options: PeerOptions = {}) {
    this.name = name
    this.address = address
    this.weight = options.weight ?? 1
    this.maxConns = options.maxConns ?? 0
    this.maxFails = options.maxFails ?? 1
    this.failTimeout = options.failTimeout ?? 10
    this.down = options.down ?? false
    this.server = options.server ?? name
  }

  /** From now on its numbers lie here; fresh memory is all zeros. */
  share(memory: SharedArrayBuffer, offset: number): void {
    this.numbers = new Int32Array(memory, offset, NUMBERS)
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
  set accessed(now: number) {
    this.numbers[ACCESSED] = now
  }
  get checked(): number {
    return this.numbers[CHECKED]!
  }
  set checked(now: number) {
    this.numbers[CHECKED] = now
  }

  /** May it be given a request now? */
  available(now: number): boolean {
    if (this.down || (this.maxConns !== 0 && this.conns >= this.maxConns)) return false
    return this.maxFails === 0 || this.fails < this.maxFails || now - this.checked > this.failTimeout
  }

  /** It was chosen: after a pause this request is the one that finds out how it is. */
  enter(now: number): void {
    Atomics.add(this.numbers, CONNS, 1)
    if (now - this.checked > this.failTimeout) this.checked = now
  }

  /** The request it was chosen for is over. */
  leave(): void {
    Atomics.sub(this.numbers, CONNS, 1)
  }

  /** @returns true when this failure disables it for a while */
  failed(now: number): boolean {
    this.fails++
    this.accessed = now
    this.checked = now
    if (this.maxFails === 0) return false
    this.effectiveWeight = Math.max(0, this.effectiveWeight - Math.trunc(this.weight / this.maxFails))
    return this.fails >= this.maxFails
  }

  /** It answered: failures from before it was checked are forgotten. */
  succeeded(): void {
    if (this.accessed < this.checked) this.fails = 0
  }
}

/** So that the clock's seconds fit 32 bits for long: the beginning of 2020. */
const EPOCH = 1_577_836_800

/** Seconds, the clock of all of this. */
export function seconds(): number {
  return Math.floor(Date.now() / 1000) - EPOCH
}
