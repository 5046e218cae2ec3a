// Going back to the old binary after WINCH, with an application of kind node: its workers said goodbye to their clients when the
// front was halted, and have to come back with it.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, serve, signalTo } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'

const conf = `daemon on;
http {
    access_log off;
    app shop { directory %%DIR%%; module shop.cjs; workers 1; queue 10 timeout=5s; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { app_pass shop; }
    }
}`

const files = { 'shop.cjs': "module.exports = (req, res) => res.end('from ' + process.ppid)\n" }

/** A second master serves, and the old one is halted. */
async function halted(server: Server): Promise<{ old: number; fresh: number }> {
  const old = server.pid
  assert.equal(await said(server), `200 from ${old}`)
  server.signal('SIGUSR2')
  await eventually(() => existsSync(join(server.dir, 'portico.pid.oldbin')) && server.file('portico.pid') !== '')
  const fresh = server.pid
  signalTo(old, 'SIGWINCH')
  await eventually(() => new RegExp(`${old}#\\d+: app "shop": worker process \\d+ exited`).test(server.errorLog()))
  await eventually(async () => (await said(server)) === `200 from ${fresh}`)
  return { old, fresh }
}

async function said(server: Server): Promise<string> {
  const { status, body } = await get(server.port)
  return `${status} ${body.toString()}`
}

async function stays(server: Server, pid: number): Promise<void> {
  await eventually(() => server.file('portico.pid') === `${pid}\n`)
  for (let i = 0; i < 3; i++) assert.equal(await said(server), `200 from ${pid}`)
}

test('HUP to the old master brings its Node application back', async t => {
  const server = await serve(t, { conf, files })
  const { old, fresh } = await halted(server)
  signalTo(old, 'SIGHUP')
  await eventually(async () => (await said(server)) === `200 from ${old}`)
  signalTo(fresh, 'SIGQUIT')
  await stays(server, old)
  // And again: what came back can be halted, too.
  const second = await halted(server)
  signalTo(second.fresh, 'SIGQUIT')
  await stays(server, old)
  await server.stop()
})
