// One server of a group: where it is, and how it has been doing. What is counted here is one thread's own experience.

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
}

export class Peer {
  /** As logs and $upstream_addr show it: `127.0.0.1:8080`, `[::1]:80`, `unix:/run/app.sock`. */
  readonly name: string
  readonly address: Address
  readonly weight: number
  readonly maxConns: number
  readonly maxFails: number
  readonly failTimeout: number
  down: boolean
  /** Requests it is busy with. */
  conns = 0
  currentWeight = 0
  effectiveWeight: number
  fails = 0
  /** Seconds: when it failed last, and when it was last found worth a try. */
  accessed = 0
  checked = 0

  constructor(name: string, address: Address, options: PeerOptions = {}) {
    this.name = name
    this.address = address
    this.weight = options.weight ?? 1
    this.maxConns = options.maxConns ?? 0
    this.maxFails = options.maxFails ?? 1
    this.failTimeout = options.failTimeout ?? 10
    this.down = options.down ?? false
    this.effectiveWeight = this.weight
  }

  /** May it be given a request now? */
  available(now: number): boolean {
    if (this.down || (this.maxConns !== 0 && this.conns >= this.maxConns)) return false
    return this.maxFails === 0 || this.fails < this.maxFails || now - this.checked > this.failTimeout
  }

  /** It was chosen: after a pause this request is the one that finds out how it is. */
  enter(now: number): void {
    this.conns++
    if (now - this.checked > this.failTimeout) this.checked = now
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

/** Seconds, the clock of all of this. */
export function seconds(): number {
  return Math.floor(Date.now() / 1000)
}
