// Changing the binary while it runs: USR2, and what may happen to the old master and the new one.

import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, load, processTree, serve, signalTo } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'

const CONF = `daemon on;
http {
    access_log off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen unix:%%DIR%%/a.sock;
        location / { return 200 "$pid"; }
    }
}`

async function upgraded(server: Server): Promise<{ old: number; fresh: number }> {
  const old = server.pid
  server.signal('SIGUSR2')
  await eventually(() => existsSync(join(server.dir, 'portico.pid.oldbin')) && server.file('portico.pid') !== '')
  return { old, fresh: server.pid }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function parentOf(pid: number): number {
  return processTree(pid)[0]?.parent ?? 0
}

async function gone(pid: number): Promise<void> {
  await eventually(() => !alive(pid))
}

async function frontOf(server: Server): Promise<number> {
  return Number((await get(server.port)).body.toString())
}

test('USR2, then QUIT to the old master: no request is lost, and the Unix socket stays', async t => {
  const server = await serve(t, CONF)
  const front = await frontOf(server)
  const working = [
    load(server.port, { connections: 4, seconds: 4, keepAlive: false }),
    load(server.port, { connections: 4, seconds: 4 }),
  ]
  const { old, fresh } = await upgraded(server)
  assert.notEqual(fresh, old)
  assert.equal(server.file('portico.pid.oldbin'), `${old}\n`)
  signalTo(old, 'SIGQUIT')
  await gone(old)
  for (const result of await Promise.all(working)) {
    assert.equal(result.lost, 0)
    assert.deepEqual(result.errors, {})
    assert.deepEqual(Object.keys(result.statuses), ['200'])
  }
  assert.notEqual(await frontOf(server), front)
  assert.equal((await get(join(server.dir, 'a.sock'))).status, 200)
  assert.equal(existsSync(join(server.dir, 'portico.pid.oldbin')), false)
  await server.reload()
  assert.equal((await get(join(server.dir, 'a.sock'))).status, 200)
  await server.stop()
  assert.equal(existsSync(join(server.dir, 'a.sock')), false)
})

test('WINCH to the old master leaves the requests to the new one; HUP takes them back', async t => {
  const server = await serve(t, CONF)
  const front = await frontOf(server)
  const { old, fresh } = await upgraded(server)
  signalTo(old, 'SIGWINCH')
  await eventually(() => server.errorLog().includes(`worker process ${front} exited with code 0`))
  const second = await frontOf(server)
  assert.notEqual(second, front)
  signalTo(old, 'SIGHUP')
  await eventually(async () => ![front, second].includes(await frontOf(server)))
  // The way back: the new one goes, and everything is as it was.
  signalTo(fresh, 'SIGQUIT')
  await gone(fresh)
  await eventually(() => server.file('portico.pid') === `${old}\n`)
  assert.equal(existsSync(join(server.dir, 'portico.pid.oldbin')), false)
  assert.equal((await get(join(server.dir, 'a.sock'))).status, 200)
  await server.stop()
})

test('a new master that cannot start leaves the old one as it was', async t => {
  const server = await serve(t, CONF)
  const front = await frontOf(server)
  const old = server.pid
  writeFileSync(join(server.dir, 'portico.conf'), 'nonsense;')
  server.signal('SIGUSR2')
  await eventually(() => /\[notice\] .* new binary process \d+ exited with code 1/.test(server.errorLog()))
  assert.match(server.errorLog(), /\[emerg\].* unknown directive "nonsense"/)
  await eventually(() => server.file('portico.pid') === `${old}\n`)
  assert.equal(await frontOf(server), front)
  assert.equal((await get(join(server.dir, 'a.sock'))).status, 200)
  await server.stop()
})

test('the old master halted by WINCH serves again by itself when the new one dies', async t => {
  const server = await serve(t, CONF)
  const { old, fresh } = await upgraded(server)
  signalTo(old, 'SIGWINCH')
  await eventually(() => new RegExp(`${old}#\\d+: .*gracefully shutting down the front`).test(server.errorLog()))
  signalTo(fresh, 'SIGKILL')
  await eventually(() => server.file('portico.pid') === `${old}\n`)
  // The front of the one that was killed may still take a connection before it notices.
  await eventually(async () => parentOf(await frontOf(server).catch(() => 0)) === old)
  await server.stop()
})

test('while both masters run, neither starts a third', async t => {
  const server = await serve(t, CONF)
  const { old, fresh } = await upgraded(server)
  signalTo(old, 'SIGUSR2')
  signalTo(fresh, 'SIGUSR2')
  await eventually(() => server.errorLog().match(/the changing binary signal is ignored/g)?.length === 2)
  signalTo(old, 'SIGQUIT')
  await gone(old)
  const next = await upgraded(server)
  assert.equal(next.old, fresh)
  signalTo(fresh, 'SIGTERM')
  await gone(fresh)
  assert.equal((await get(join(server.dir, 'a.sock'))).status, 200)
  await server.stop()
})
