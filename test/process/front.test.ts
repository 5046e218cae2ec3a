// The front with threads that only count connections: how threads and sockets come and go.

import assert from 'node:assert/strict'
import net from 'node:net'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FrontHandle } from '../../src/process/front-handle.ts'
import type { FromFront } from '../../src/process/messages.ts'
import type { FrontSettings } from '../../src/process/plan.ts'
import { ListeningSockets } from '../../src/process/sockets.ts'
import { eventually, freePort, tempDir } from '../helpers/index.ts'

const entry = fileURLToPath(new URL('./fake-front.ts', import.meta.url))

interface Answer {
  readonly threadId: number
  readonly index: number
  readonly generation: number
  readonly count: number
  readonly heard: readonly unknown[]
}

class Stage {
  readonly port: number
  readonly front: FrontHandle
  readonly messages: FromFront[] = []
  readonly log: string
  readonly exited: Promise<number | null>
  private readonly sockets: ListeningSockets

  constructor(port: number, dir: string, sockets: ListeningSockets) {
    this.port = port
    this.sockets = sockets
    this.log = join(dir, 'error.log')
    this.front = new FrontHandle(entry, 'ignore')
    this.exited = new Promise(resolve =>
      this.front.attach({
        message: (_, message) => {
          this.messages.push(message)
          if (message.type === 'join') this.front.send({ ...message, type: 'joined', contents: [note('before')] })
        },
        exited: (_, code) => resolve(code),
      }),
    )
    this.front.sendSocket('a', sockets.fd('a'))
  }

  start(generation: number, threads: number, data: unknown = null): void {
    const settings: FrontSettings = {
      threads,
      user: null,
      errorLog: [{ path: this.log, level: 8 }],
      memory: [{ key: 'counter', bytes: 4 }],
      workingDirectory: null,
      openFiles: 0,
      coreSize: null,
      rawSockets: false,
      priority: 0,
      shutdownTimeout: 0,
      stopSignals: 'nginx',
    }
    this.front.send({ type: 'start', generation, settings, keys: ['a'], data })
  }

  async heard(type: FromFront['type'], generation: number): Promise<FromFront> {
    return (await eventually(() =>
      this.messages.find(one => one.type === type && 'generation' in one && one.generation === generation),
    ))!
  }

  ask(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let text = ''
      const socket = net.connect(this.port, '127.0.0.1')
      socket.on('data', bytes => (text += bytes))
      socket.on('error', reject)
      socket.on('end', () => resolve(JSON.parse(text) as Answer))
    })
  }

  async stop(): Promise<void> {
    this.sockets.closeAll()
    this.front.stop('fast')
    assert.equal(await this.exited, 0)
  }
}

function note(message: unknown): { topic: string; message: unknown } {
  return { topic: 'note', message }
}

async function stage(t: TestContext): Promise<Stage> {
  const port = await freePort()
  const sockets = new ListeningSockets()
  const address = { key: 'a', host: '127.0.0.1', port, path: '', backlog: 511, ipv6only: false }
  assert.deepEqual(await sockets.bind([address], assert.fail), ['a'])
  const dir = tempDir(t)
  const stage = new Stage(port, dir, sockets)
  t.after(() => stage.stop())
  return stage
}

test('connections made before any thread listens are answered by the first', async t => {
  const stage1 = await stage(t)
  const waiting = stage1.ask()
  stage1.start(1, 1)
  assert.equal((await waiting).generation, 1)
  await stage1.heard('listening', 1)
})

test('a thread that crashes is replaced, the memory and the other threads go on', async t => {
  const s = await stage(t)
  s.start(1, 2)
  await s.heard('listening', 1)
  const first = await s.ask()
  s.front.send({ type: 'topic', generation: 1, content: { topic: 'crash', message: 0 } })
  await eventually(() => /\[alert\] .*front thread \d+ exited on an uncaught exception: Error: crashed/.test(logOf(s)))
  const started = (): number => logOf(s).split('start worker process').length - 1
  await eventually(() => started() === 3)
  await eventually(() => s.messages.filter(one => one.type === 'topic').length === 3)
  assert.ok((await s.ask()).count > first.count)
})

test('a new thread hears what was said before, once, and what is said after', async t => {
  const s = await stage(t)
  s.start(1, 1)
  await s.heard('listening', 1)
  await s.heard('topic', 1)
  await eventually(async () => (await s.ask()).heard.length === 1)
  s.front.send({ type: 'topic', generation: 1, content: note('after') })
  await eventually(async () => (await s.ask()).heard.length === 2)
  assert.deepEqual((await s.ask()).heard, ['before', 'after'])
})

test('a generation takes over with the memory of the one before, which ends when it is retired', async t => {
  const s = await stage(t)
  s.start(1, 2)
  await s.heard('listening', 1)
  const { count } = await s.ask()
  s.start(2, 1)
  await s.heard('listening', 2)
  s.front.send({ type: 'retire', generation: 1 })
  await s.heard('retired', 1)
  const answer = await s.ask()
  assert.equal(answer.generation, 2)
  assert.ok(answer.count > count)
  await eventually(() => logOf(s).split('exited with code 0').length - 1 === 2)
})

test('a generation that cannot start fails with the reason, and the old one goes on', async t => {
  const s = await stage(t)
  s.start(1, 1)
  await s.heard('listening', 1)
  s.start(2, 2, 'broken')
  const failure = await s.heard('failed', 2)
  assert.equal(failure.type === 'failed' && failure.error, 'this data is broken')
  await s.heard('retired', 2)
  assert.equal((await s.ask()).generation, 1)
})

test('a front that is told to end gracefully exits with code 0 when its threads have', async t => {
  const s = await stage(t)
  s.start(1, 2)
  await s.heard('listening', 1)
  s.front.stop('graceful')
  assert.equal(await s.exited, 0)
  assert.equal(logOf(s).split('exited with code 0').length - 1, 2)
})

function logOf(stage: Stage): string {
  try {
    return readFileSync(stage.log, 'latin1')
  } catch {
    return ''
  }
}
