// serve() against a stand-in for the program: it writes a pid file, listens, spawns, reloads and misbehaves as asked.

import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { eventually, get, gunicorn, needs, serve, serveApp, tempDir } from './index.ts'
import { isAlive } from './processes.ts'

const STAND_IN = `#!${process.execPath}
const { createServer } = require('node:http'), { readFileSync, writeFileSync, appendFileSync, rmSync } = require('node:fs')
const { spawn } = require('node:child_process')
const argv = process.argv.slice(2)
const value = name => argv[argv.indexOf(name) + 1]
const prefix = argv.includes('-p') ? value('-p') : process.cwd() + '/'
const read = () => argv.includes('-c') ? readFileSync(prefix + value('-c'), 'latin1') : 'listen ' + value('--bind').split(':')[1]
let conf = read()
if (conf.includes('bogus')) { console.error('[emerg] unknown directive "bogus"'); process.exit(1) }
const log = text => appendFileSync(prefix + 'error.log', text + '\\n')
if (conf.includes('leave_child')) spawn('sleep', ['60'], { detached: true, stdio: 'ignore' }).unref()
const server = createServer((q, s) => s.end(conf))
if (conf.includes('leave_socket')) { const s = createServer(); s.listen(prefix + 'left.sock', () => {}); process.on('exit', () => {}) }
server.listen(Number(/listen (\\d+)/.exec(conf)[1]), '127.0.0.1', () => {
  const pid = /^pid (.*);/m.exec(conf)
  if (pid) writeFileSync(pid[1], process.pid + '\\n')
})
process.on('SIGHUP', () => { conf = read(); log('reconfiguring') })
process.on('SIGQUIT', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
`

function standIn(t: TestContext): void {
  const path = join(tempDir(t), 'portico')
  writeFileSync(path, STAND_IN)
  chmodSync(path, 0o755)
  const before = process.env['PORTICO_BIN']
  process.env['PORTICO_BIN'] = path
  t.after(() => (before === undefined ? delete process.env['PORTICO_BIN'] : (process.env['PORTICO_BIN'] = before)))
}

test('serve: it is ready when it answers, reloads, and stops leaving nothing', async t => {
  standIn(t)
  const server = await serve(t, 'http { server { \n listen %%PORT_0%%; } }')
  assert.match((await get(server.port)).text, /daemon off;\npid .*portico.pid;/)
  assert.equal(server.pid, server.child.pid)
  await server.reload('http { server { \n listen %%PORT_0%%; } } # again')
  assert.match((await get(server.port)).text, /# again/)
  assert.match(server.errorLog(), /reconfiguring/)
  assert.equal(await server.stop(), 0)
})

test('serve: a program that exits instead of serving fails the start with what it said', async t => {
  standIn(t)
  await assert.rejects(
    serve(t, 'bogus; listen %%PORT_0%%;'),
    /ended \(1\) before it served:\n\[emerg\] unknown directive "bogus"/,
  )
})

test('serve: a process left behind fails the stop and is ended', async t => {
  standIn(t)
  const server = await serve(t, 'leave_child;\nlisten %%PORT_0%%;')
  const processes = server.processes()
  assert.equal(processes.length, 2)
  await assert.rejects(server.stop(), /did not stop cleanly on SIGQUIT.*left: \d+ sleep 60/)
  await eventually(() => !processes.some(isAlive))
  // The test's own end stops it once more: that must see the first stop's failure, which was expected here.
  Object.assign(server, { stop: () => Promise.resolve(0) })
})

test('serve: a socket file left behind fails the stop', async t => {
  standIn(t)
  const server = await serve(t, 'leave_socket;\nlisten %%PORT_0%%;')
  await assert.rejects(server.stop(), /socket files left behind: .*left\.sock/)
  Object.assign(server, { stop: () => Promise.resolve(0) })
})

test('serveApp: the arguments are passed after a --bind of its own', async t => {
  standIn(t)
  const server = await serveApp(t, ['-w', '2', 'app:app'], { files: { 'app.py': '' } })
  assert.match((await get(server.port)).text, /^listen \d+$/)
  assert.equal(await server.stop(), 0)
})

test('gunicorn: it serves an application on a port and on a Unix socket', async t => {
  if (!needs(t, 'gunicorn')) return
  const code = 'def app(environ, start):\n    start("200 OK", [("Content-Length", "2")])\n    return [b"ok"]\n'
  const port = await gunicorn(t, 'a:app', { files: { 'a.py': code } })
  const unix = await gunicorn(t, 'a:app', { dir: port.dir, unix: true })
  assert.equal((await get(port.port)).text, 'ok')
  assert.equal((await get(unix.path)).text, 'ok')
})
