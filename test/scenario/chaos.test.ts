// Workers killed and stopped, configurations reloaded, clients that leave and requests that last, all at once and under load:
// each request is answered, none is served twice, and a killed worker costs the one request that it was at.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import type { TestContext } from 'node:test'
import { get, raw, request, tempDir } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'
import { busy, serveThings, status, workers } from '../app/things.ts'

const SECONDS = 6
const CLIENTS = 24
const PATIENCE_MS = 60_000

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
function chances(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

class Chaos {
  readonly server: Server
  readonly folder: string
  readonly chance: () => number
  readonly until = performance.now() + SECONDS * 1000
  /** Statuses of requests by number; those whose client left have none. */
  readonly statuses = new Map<number, number>()
  kills = 0
  private last = 0

  constructor(server: Server, folder: string, chance: () => number) {
    this.server = server
    this.folder = folder
    this.chance = chance
  }

  get goesOn(): boolean {
    return performance.now() < this.until
  }

  async client(t: TestContext): Promise<void> {
    while (this.goesOn) {
      const number = ++this.last
      const chance = this.chance()
      if (chance < 0.01) await this.leave(t, number)
      else if (chance < 0.015) await this.linger(number)
      else this.statuses.set(number, await this.ask(`/?${number}`))
    }
  }

  /** Works on the workers, one after the other. */
  async trouble(): Promise<void> {
    while (this.goesOn) {
      const pids = (await status(this.server)).workers.map(one => one.pid)
      const pid = pids[Math.floor(this.chance() * pids.length)]
      const chance = this.chance()
      await this.look(40)
      if (pid === undefined) continue
      if (chance < 0.4) this.kill(pid)
      else if (chance < 0.8) await this.pause(pid)
      else await this.server.reload()
    }
  }

  private async ask(path: string): Promise<number> {
    return (await request({ address: this.server.port, path, timeoutMs: PATIENCE_MS })).status
  }

  private async leave(t: TestContext, number: number): Promise<void> {
    const client = await raw(t, this.server.port)
    await client.send(`GET /?${number} HTTP/1.1\r\nHost: a\r\n\r\n`)
    client.destroy()
  }

  /** Lasts until a few others have been answered. */
  private async linger(number: number): Promise<void> {
    const file = join(this.folder, `end-${number}`)
    const answer = this.ask(`/until?${file}`)
    await this.look(20)
    writeFileSync(file, '')
    this.statuses.set(number, await answer)
  }

  /** Time that passes with requests which no worker sees. */
  private async look(times: number): Promise<void> {
    for (let i = 0; i < times; i++) await get(this.server.port, '/static')
  }

  private kill(pid: number): void {
    if (!signal(pid, 'SIGKILL')) return
    this.kills++
  }

  private async pause(pid: number): Promise<void> {
    if (!signal(pid, 'SIGSTOP')) return
    try {
      await this.look(50)
    } finally {
      signal(pid, 'SIGCONT')
    }
  }
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch {
    return false // it has gone by itself
  }
}

test(
  'chaos: nothing is lost but what a killed worker was at, and nothing is served twice',
  { timeout: 120_000 },
  async t => {
    const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
    t.diagnostic(`FUZZ_SEED=${seed}`)
    const folder = tempDir(t)
    const server = await serveThings(t, {
      threads: 2,
      module: 'ahead:application',
      app: `environment TRACE=${folder}; workers 3; prefetch 10s; timeout 60s; queue 1024 timeout=60s;`,
      server: 'location = /static { return 200 ok; }',
    })
    await workers(server, 3)
    const chaos = new Chaos(server, folder, chances(seed))
    await Promise.all([chaos.trouble(), ...Array.from({ length: CLIENTS }, () => chaos.client(t))])

    const others = [...chaos.statuses.values()].filter(one => one !== 200)
    assert.deepEqual([...new Set(others)], others.length === 0 ? [] : [502])
    assert.ok(others.length <= chaos.kills, `${others.length} requests lost with ${chaos.kills} workers`)
    const served = readFileSync(join(folder, 'trace'), 'latin1').split('\n').slice(0, -1).map(Number)
    assert.equal(new Set(served).size, served.length, 'requests were served twice')
    const seen = new Set(served)
    const quick = [...chaos.statuses].filter(
      ([number, code]) => code === 200 && !existsSync(join(folder, `end-${number}`)),
    )
    assert.deepEqual(
      quick.filter(([number]) => !seen.has(number)),
      [],
    )
    await busy(server, 0)
    t.diagnostic(`${chaos.statuses.size} requests, ${chaos.kills} workers killed, ${others.length} lost with them`)
  },
)
