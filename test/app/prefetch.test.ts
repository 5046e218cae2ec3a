// Requests that are sent ahead to workers at work: each is served once, none waits behind a slow one, and none is lost with a
// worker that never began it.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import type { TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { tempDir } from '../helpers/index.ts'
import { get, raw, request } from '../helpers/raw.ts'
import type { Server } from '../helpers/serve.ts'
import type { Response } from '../helpers/message.ts'
import { busy, serveThings, status, workers } from './things.ts'

interface Setting {
  readonly server: Server
  /** What the application has written down, request by request. */
  readonly trace: () => string[]
  /** A file for requests to `/until`, which last until it is there. */
  readonly end: string
}

/** With so much time to be filled that the speed of the machine does not matter. */
async function start(t: TestContext, app = 'workers 2; prefetch 10s;', threads = 1): Promise<Setting> {
  const folder = tempDir(t)
  const server = await serveThings(t, {
    threads,
    module: 'ahead:application',
    app: `environment TRACE=${folder}; ${app}`,
  })
  const count = Number(/workers (\d+)/.exec(app)![1])
  await workers(server, count)
  return {
    server,
    end: join(folder, 'end'),
    trace: () => readFileSync(join(folder, 'trace'), 'latin1').split('\n').slice(0, -1),
  }
}

/** Statuses of requests with numbers from `first`, on so many connections at a time. */
async function flood(server: Server, first: number, count: number): Promise<number[]> {
  const statuses: number[] = []
  let next = first
  const client = async (): Promise<void> => {
    while (next < first + count) {
      const number = next++
      const answer = await patient(server, `/?${number}`)
      statuses[number - first] = answer.status
    }
  }
  await Promise.all(Array.from({ length: 24 }, client))
  return statuses
}

/** With time for what others are made to wait for. */
function patient(server: Server, path: string): Promise<Response> {
  return request({ address: server.port, path, timeoutMs: 60_000 })
}

const UPLOAD = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n${'x'.repeat(50_000)}`

const numbers = (first: number, count: number): string[] => Array.from({ length: count }, (_, i) => String(first + i))
const all = (count: number): number[] => Array.from({ length: count }, () => 200)
const sorted = (lines: readonly string[]): string[] => lines.toSorted((a, b) => Number(a) - Number(b))

for (const threads of [1, 2]) {
  test(`prefetch: what is sent ahead is served once each, ${threads} front thread(s)`, async t => {
    const { server, trace } = await start(t, 'workers 2; prefetch 10s;', threads)
    let done = 0
    await eventually(async () => {
      assert.deepEqual(await flood(server, done, 500), all(500))
      done += 500
      return (await status(server)).counters['prefetched']! > 100
    })
    assert.deepEqual(sorted(trace()), numbers(0, done))
    await busy(server, 0)
    assert.equal((await status(server)).counters['requests'], done)
  })
}

test('prefetch: bodies go with their requests', async t => {
  const { server } = await start(t)
  const wrong: string[] = []
  const client = async (of: number): Promise<void> => {
    for (let i = 0; i < 30; i++) {
      const body = `${of}-${i} `.repeat(1 + ((of * i) % 700))
      const { text } = await request({ address: server.port, method: 'POST', body })
      if (text.slice(text.indexOf(' ') + 1) !== body) wrong.push(`${of}-${i}`)
    }
  }
  await eventually(async () => {
    await Promise.all(Array.from({ length: 24 }, (_, i) => client(i)))
    return (await status(server)).counters['prefetched']! > 100
  })
  assert.deepEqual(wrong, [])
})

test('prefetch: what was sent ahead to a worker that comes to a slow request is taken back', async t => {
  const { server, trace, end } = await start(t)
  let done = 0
  const slow: Promise<unknown>[] = []
  // Until a slow request has come to a worker that had been sent others: these must not wait for its end.
  await eventually(async () => {
    const name = `${end}${slow.length}`
    const flooding = flood(server, done, 400)
    const one = patient(server, `/until?${name}`)
    slow.push(one)
    assert.deepEqual(await flooding, all(400))
    done += 400
    writeFileSync(name, '')
    assert.equal((await one).status, 200)
    return (await status(server)).counters['taken_back']! > 0
  })
  assert.deepEqual(sorted(trace()), numbers(0, done))
})

test('prefetch: a worker that is stopped dead keeps what it has begun and nothing else', async t => {
  const { server, trace } = await start(t)
  let done = 0
  await eventually(async () => {
    const before = (await status(server)).counters['taken_back']!
    const pid = Number((await get(server.port)).text)
    const statuses: number[] = []
    const flooding = Array.from({ length: 600 }, async (_, i) => {
      // In the midst of them: that is when it has been sent some ahead.
      if (statuses.push((await patient(server, `/?${done + i}`)).status) === 100) process.kill(pid, 'SIGSTOP')
    })
    try {
      // All but the one that it is at, if it is at one.
      await eventually(() => statuses.length >= 599)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await Promise.all(flooding)
    assert.deepEqual(statuses, all(600))
    done += 600
    return (await status(server)).counters['taken_back']! > before
  }, 60_000)
  assert.deepEqual(sorted(trace()), numbers(0, done))
})

test('prefetch: of what a killed worker had, only the request that it was at is lost', async t => {
  const { server, trace } = await start(t, 'workers 3; prefetch 10s;')
  const killed = new Set<number>()
  let done = 0
  const statuses: number[] = []
  while (killed.size < 6) {
    const flooding = flood(server, done, 400)
    const pid = await eventually(async () => {
      const answer = Number((await get(server.port)).text)
      return answer > 0 && !killed.has(answer) ? answer : 0
    })
    process.kill(pid, 'SIGKILL')
    killed.add(pid)
    statuses.push(...(await flooding))
    done += 400
    await workers(server, 3)
  }
  const broken = statuses.flatMap((one, i) => (one === 200 ? [] : [i]))
  assert.ok(broken.length <= killed.size, `${broken.length} of ${done} requests lost with ${killed.size} workers`)
  assert.deepEqual([...new Set(broken.map(i => statuses[i]))], broken.length === 0 ? [] : [502])
  // Nothing was served twice, and whatever was answered was served.
  const served = sorted(trace())
  assert.equal(new Set(served).size, served.length)
  const lost = new Set(broken.map(String))
  assert.deepEqual(
    served.filter(one => !lost.has(one)),
    numbers(0, done).filter(one => !lost.has(one)),
  )
})

test('prefetch: clients that leave before their turn leave nothing behind', async t => {
  const { server } = await start(t)
  for (let round = 0; round < 5; round++) {
    const flooding = flood(server, 0, 300)
    for (let i = 0; i < 100; i++) {
      const client = await raw(t, server.port)
      // The file with a body is gone when its client is.
      await client.send(i % 2 === 0 ? 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' : UPLOAD)
      client.destroy()
    }
    assert.deepEqual(await flooding, all(300))
  }
  await busy(server, 0)
  assert.doesNotMatch(server.errorLog(), /\[(?:error|crit|alert)\]/)
})

test('prefetch: a reload in the middle loses nothing', async t => {
  const { server, trace } = await start(t)
  const flooding = flood(server, 0, 2000)
  await server.reload()
  await server.reload()
  assert.deepEqual(await flooding, all(2000))
  assert.deepEqual(sorted(trace()), numbers(0, 2000))
})

test('prefetch: workers that reach max_requests leave with nothing undone', async t => {
  const { server, trace } = await start(t, 'workers 2; prefetch 10s; max_requests 100;')
  assert.deepEqual(await flood(server, 0, 2000), all(2000))
  assert.deepEqual(sorted(trace()), numbers(0, 2000))
})

test('prefetch: off means that nothing is sent ahead', async t => {
  const { server } = await start(t, 'workers 2; prefetch off;')
  assert.deepEqual(await flood(server, 0, 1000), all(1000))
  assert.equal((await status(server)).counters['prefetched'], 0)
})
