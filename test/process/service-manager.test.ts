// What systemd hears of the program, from a listener in its place.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { ServiceManager } from '../../src/process/service-manager.ts'
import {
  atEnd,
  eventually,
  get,
  needs,
  PORTICO,
  processTree,
  PYTHON,
  serve,
  signalTo,
  tempDir,
  within,
} from '../helpers/index.ts'
import type { Scope, Server } from '../helpers/index.ts'

const CONF = `daemon off;
worker_processes 2;
http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; location / { return 200 "$pid"; } } }`

/** Node has no Unix datagrams to hear systemd's with: each is a line, with blanks for the ends of its own lines. */
async function listen(t: Scope, path: string): Promise<string[]> {
  const heard: string[] = []
  const code = `import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('${path}')
print('bound', flush=True)
while True:
    print(s.recv(500).decode().replace('\\n', ' '), flush=True)`
  const child = spawn(PYTHON, ['-c', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  atEnd(t, () => child.kill())
  let rest = ''
  child.stdout.on('data', bytes => {
    const lines = `${rest}${bytes}`.split('\n')
    rest = lines.pop()!
    heard.push(...lines)
  })
  await eventually(() => heard.length > 0)
  heard.length = 0
  return heard
}

async function start(t: Scope, env: Record<string, string> = {}): Promise<{ server: Server; heard: string[] }> {
  const path = join(tempDir(t), 'notify.sock')
  const heard = await listen(t, path)
  return { server: await serve(t, { conf: CONF, env: { NOTIFY_SOCKET: path, ...env } }), heard }
}

async function next(heard: string[], wanted: RegExp): Promise<string> {
  const at = await eventually(() => heard.findIndex(line => wanted.test(line)) + 1)
  return heard.splice(0, at).at(-1)!
}

test('ready, reloading, ready again, though the configuration be wrong, and stopping', async t => {
  if (!needs(t, 'python3')) return
  const { server, heard } = await start(t)
  await next(heard, /^READY=1 STATUS=serving$/)
  const before = process.hrtime.bigint() / 1000n
  server.signal('SIGHUP')
  const [, at] = /^RELOADING=1 MONOTONIC_USEC=(\d+)$/.exec(await next(heard, /^RELOADING/))!
  assert.ok(BigInt(at!) >= before && BigInt(at!) <= process.hrtime.bigint() / 1000n)
  await next(heard, /^READY=1/)
  writeFileSync(join(server.dir, 'portico.conf'), 'nonsense')
  server.signal('SIGHUP')
  await next(heard, /^RELOADING/)
  await next(heard, /^READY=1/)
  assert.equal((await get(server.port)).status, 200)
  await server.stop()
  await next(heard, /^STOPPING=1$/)
  assert.deepEqual(heard, [])
})

test('the watchdog hears that all threads answer, and nothing while they do not', async t => {
  if (!needs(t, 'python3')) return
  const { server, heard } = await start(t, { WATCHDOG_USEC: '100000' })
  for (let i = 0; i < 3; i++) await next(heard, /^WATCHDOG=1$/)
  const front = Number((await get(server.port)).body.toString())
  signalTo(front, 'SIGSTOP')
  // What was answered before may still be on its way.
  await eventually(async () => {
    heard.length = 0
    await new Promise(resolve => setTimeout(resolve, 500))
    return heard.length === 0
  })
  signalTo(front, 'SIGCONT')
  await next(heard, /^WATCHDOG=1$/)
  signalTo(front, 'SIGKILL')
  await eventually(async () => Number((await get(server.port)).body.toString()) !== front)
  heard.length = 0
  await next(heard, /^WATCHDOG=1$/)
  server.signal('SIGHUP')
  await next(heard, /^READY=1/)
  await next(heard, /^WATCHDOG=1$/)
  await server.stop()
})

test('a new program (USR2) becomes the main process when the old one goes, and has the watchdog then', async t => {
  if (!needs(t, 'python3')) return
  const { server, heard } = await start(t, { WATCHDOG_USEC: '200000' })
  await next(heard, /^WATCHDOG=1$/)
  const old = server.pid
  server.signal('SIGUSR2')
  await next(heard, /^READY=1/)
  const fresh = await eventually(() => (server.pid === old ? 0 : server.pid))
  signalTo(old, 'SIGQUIT')
  await next(heard, new RegExp(`^MAINPID=${fresh}$`))
  await within(server.exited, 60_000, () => server.output)
  // Its parent is another one now, which systemd finds out when it hears the name anew.
  const [, relay] = /^MAINPID=(\d+)$/.exec(await next(heard, /^MAINPID/))!
  assert.ok(processTree(fresh).some(({ pid }) => pid === Number(relay) && pid !== fresh))
  await next(heard, new RegExp(`^MAINPID=${fresh}$`))
  await next(heard, /^WATCHDOG=1$/)
  assert.equal(processTree(fresh)[0]?.pid, fresh)
  await server.stop()
})

test('the watchdog hears the new program while the old one finishes what it has, and so on with the next', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  const path = join(dir, 'notify.sock')
  const heard = await listen(t, path)
  // Systemd names the process it starts, which this shell is until it has become the program.
  const program = join(dir, 'named')
  writeFileSync(program, `#!/bin/sh\nWATCHDOG_PID=$$ exec "${PORTICO}" "$@"\n`, { mode: 0o755 })
  const conf = CONF.replace('location /', 'location /html { limit_rate 1k; } location /')
  const files = { 'html/html/big': 'x'.repeat(1_000_000) }
  const server = await serve(t, { conf, files, program, env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' } })
  await next(heard, /^WATCHDOG=1$/)

  const slow = connect(server.port, '127.0.0.1').on('error', () => {})
  atEnd(t, () => slow.destroy())
  slow.write('GET /html/big HTTP/1.1\r\nHost: a\r\n\r\n')
  const [head] = (await once(slow, 'data')) as [Buffer]
  assert.match(head.toString(), /^HTTP\/1.1 200 /)
  const first = await succeed(server, heard)
  // What the old one has said is before that line.
  for (let i = 0; i < 2; i++) await next(heard, /^WATCHDOG=1$/)
  assert.equal(processTree(first)[0]?.pid, first)
  slow.destroy()
  await eventually(() => processTree(first).length === 0)

  const second = await succeed(server, heard)
  await eventually(() => processTree(second).length === 0)
  heard.length = 0
  for (let i = 0; i < 2; i++) await next(heard, /^WATCHDOG=1$/)
  await server.stop()
})

/** @returns the old master, who was told to go */
async function succeed(server: Server, heard: string[]): Promise<number> {
  const old = server.pid
  server.signal('SIGUSR2')
  await next(heard, /^READY=1/)
  const fresh = await eventually(() => (server.pid === old ? 0 : server.pid))
  signalTo(old, 'SIGQUIT')
  await next(heard, new RegExp(`^MAINPID=${fresh}$`))
  return old
}

test('whom the watchdog is for', () => {
  const asked = (predecessor: number, environment: Record<string, string>, pid = 7): boolean => {
    const manager = new ServiceManager(predecessor, environment, pid)
    let questions = 0
    manager.watch(() => questions++)
    manager.stopping()
    return questions > 0
  }
  const path = { NOTIFY_SOCKET: '/nowhere/at/all', WATCHDOG_USEC: '30000000' }
  assert.equal(asked(0, path), true)
  assert.equal(asked(0, { ...path, WATCHDOG_PID: '7' }), true)
  assert.equal(asked(0, { ...path, WATCHDOG_PID: '8' }), false)
  const inherited = { ...path, WATCHDOG_PID: '8' }
  assert.equal(asked(8, inherited), true)
  assert.equal(asked(7, inherited, 6), true, 'and on to the next')
  assert.equal(asked(0, { WATCHDOG_USEC: '30000000' }), false)
  assert.equal(asked(0, { NOTIFY_SOCKET: '/nowhere/at/all' }), false)
  for (const wrong of ['0', '-1', 'soon', '1e99', '']) assert.equal(asked(0, { ...path, WATCHDOG_USEC: wrong }), false)
})
