// Random input that can be had again: the seed is printed, and FUZZ_SEED sets it.

import type { TestContext } from 'node:test'

export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  below(n: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0
    return Math.floor((this.state / 2 ** 32) * n)
  }

  chance(p: number): boolean {
    return this.below(10000) < p * 10000
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length)
    for (let i = 0; i < length; i++) bytes[i] = this.below(256)
    return bytes
  }

  text(length: number): string {
    return this.bytes(length).toString('latin1')
  }
}

export function random(t: TestContext): Random {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  return new Random(seed)
}
