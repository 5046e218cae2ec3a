// The running program: its processes, signals and files.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import {
  accepts,
  eventually,
  get,
  isAlive,
  load,
  needsOtherUsers,
  serve,
  tempDir,
  writeFiles,
} from '../helpers/index.ts'
import { PORTICO } from '../helpers/serve.ts'
import type { Server } from '../helpers/serve.ts'

function conf(http = '', main = ''): string {
  return `${main}
http {
    access_log off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 "$pid"; }
    }
    ${http}
}`
}

async function frontOf(server: Server): Promise<number> {
  return Number((await get(server.port)).body.toString())
}

function count(text: string, what: RegExp): number {
  return [...text.matchAll(new RegExp(what, 'g'))].length
}

function statusOf(pid: number, field: string): string {
  return new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? ''
}

for (const [signal, words] of [
  ['SIGQUIT', 'shutting down'],
  ['SIGTERM', 'exiting'],
  ['SIGINT', 'exiting'],
] as const) {
  test(`${signal} ends it with code 0 and leaves no process, pid file or socket file`, async t => {
    const server = await serve(t, conf('server { listen unix:%%DIR%%/a.sock; return 200 unix; }'))
    assert.equal((await get(join(server.dir, 'a.sock'))).body.toString(), 'unix')
    assert.equal(await server.stop(signal), 0)
    assert.equal(existsSync(join(server.dir, 'portico.pid')), false)
    assert.equal(existsSync(join(server.dir, 'a.sock')), false)
    assert.match(
      server.errorLog(),
      new RegExp(`\\[notice\\] \\d+#\\d+: signal \\d+ \\(${signal}\\) received, ${words}`),
    )
    assert.match(server.errorLog(), /^[^\n]* \[notice\] \d+#\d+: nginx\/1\.31\.5\n/)
    assert.match(server.errorLog(), /portico\/0\.1\.0/)
    assert.doesNotMatch(server.errorLog(), /\[(alert|crit|emerg|error)\]/)
  })
}

test('the pid file appears when everything accepts', async t => {
  const server = await serve(t, conf('', 'worker_processes 3;'))
  assert.equal(server.file('portico.pid'), `${server.child.pid}\n`)
  assert.equal(server.processes().length, 2)
})

test('the program answers soon after its start', async t => {
  await serve(t, conf()).then(server => server.stop()) // Fills the compile cache.
  let best = Infinity
  // The machine may be busy with something else: what is asserted is that nothing waits for a long timer.
  for (let round = 0; round < 3 && best >= 1000; round++) {
    const begun = performance.now()
    const server = await serve(t, conf())
    assert.equal((await get(server.port)).status, 200)
    best = Math.min(best, Math.round(performance.now() - begun))
    await server.stop()
  }
  t.diagnostic(`first answer after ${best} ms`)
  assert.ok(best < 10_000, `${best} ms`)
})

test('QUIT lets a request finish, and new connections are refused meanwhile', async t => {
  const server = await serve(t, conf())
  const socket = net.connect(server.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n')
  await eventually(() => socket.bytesWritten > 0 && !socket.connecting)
  await get(server.port)
  server.signal('SIGQUIT')
  await eventually(async () => !(await accepts(server.port)))
  const answer = new Promise<string>(resolve => socket.once('data', bytes => resolve(bytes.toString('latin1'))))
  socket.write('\r\n')
  assert.match(await answer, /^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*Connection: close\r\n/)
  assert.equal(await server.exited, 0)
})

test('worker_shutdown_timeout bounds what a request may take after QUIT', async t => {
  const server = await serve(t, conf('', 'worker_shutdown_timeout 200ms;'))
  const socket = net.connect(server.port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n')
  await eventually(() => socket.bytesWritten > 0 && !socket.connecting)
  await get(server.port)
  assert.equal(await server.stop('SIGQUIT'), 0)
})

test('ten reloads under load lose no request', async t => {
  const server = await serve(t, conf('', 'worker_processes 2;'))
  const loading = Promise.all([
    load(server.port, { connections: 4, seconds: 6 }),
    load(server.port, { connections: 4, seconds: 6, keepAlive: false }),
  ])
  for (let i = 0; i < 10; i++) {
    const before = count(server.errorLog(), /start worker process \d/)
    await server.reload()
    await eventually(() => count(server.errorLog(), /start worker process \d/) === before + 2)
    const retired = count(server.errorLog(), /worker process \d+ exited with code 0/)
    if (i % 3 === 0) await eventually(() => count(server.errorLog(), /exited with code 0/) > retired)
  }
  for (const result of await loading) {
    assert.deepEqual([result.lost, result.retried, result.errors], [0, 0, {}])
    assert.deepEqual(Object.keys(result.statuses), ['200'])
    assert.equal(result.answered, result.requests)
    assert.ok(result.answered > 100)
  }
  await eventually(() => count(server.errorLog(), /exited with code 0/) === 20)
  assert.doesNotMatch(server.errorLog(), /\[(alert|crit|emerg|error)\]/)
})

test('reload: new addresses are opened, and those no longer used are closed', async t => {
  const server = await serve(t, conf('server { listen 127.0.0.1:%%PORT_1%%; return 200 second; }'))
  const [first, second] = server.ports as [number, number]
  await server.reload(conf('server { listen unix:%%DIR%%/b.sock; return 200 third; }'))
  await eventually(async () => (await get(join(server.dir, 'b.sock'))).body.toString() === 'third')
  await eventually(async () => !(await accepts(second)))
  assert.ok(await accepts(first))
  await server.reload(conf())
  await eventually(() => !existsSync(join(server.dir, 'b.sock')))
})

test('reload: a configuration that is wrong changes nothing', async t => {
  const server = await serve(t, conf())
  await server.reload(`${conf()}\nfoo bar;\n`)
  await eventually(() => server.errorLog().includes('[emerg]'))
  assert.match(server.errorLog(), /\[emerg\] \d+#\d+: unknown directive "foo" in .*portico\.conf:\d+\n/)
  assert.equal((await get(server.port)).status, 200)
  assert.equal(count(server.errorLog(), /start worker process \d/), 1)
})

test('reload: a host that was unknown is looked up again', async t => {
  const dir = tempDir(t)
  const known = join(dir, 'known')
  writeFiles(dir, { 'bin/getent': `#!/bin/sh\n[ -f ${known} ] && echo 127.0.0.1 STREAM && exit\nexit 2\n` })
  chmodSync(join(dir, 'bin/getent'), 0o755)
  const server = await serve(t, { dir, conf: conf(), env: { PATH: `${dir}/bin:${process.env['PATH'] ?? ''}` } })
  const later = conf('server { listen unix:%%DIR%%/b.sock; location / { proxy_pass http://late.example; } }')
  await server.reload(later)
  await eventually(() => /\[emerg\].*host not found in upstream "late\.example"/.test(server.errorLog()))
  writeFileSync(known, '')
  await server.reload(later)
  await eventually(() => accepts(join(server.dir, 'b.sock')))
})

test('reload: an address in use changes nothing', async t => {
  const other = net.createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const { port } = other.address() as net.AddressInfo
  const server = await serve(t, conf())
  await server.reload(conf(`server { listen 127.0.0.1:${port}; } server { listen unix:%%DIR%%/b.sock; }`))
  await eventually(() => server.errorLog().includes('still could not bind()'))
  assert.equal((await get(server.port)).status, 200)
  assert.equal(existsSync(join(server.dir, 'b.sock')), false)
})

test('a front that is killed is replaced, and connections made meanwhile are answered', async t => {
  const server = await serve(t, conf())
  const front = await frontOf(server)
  process.kill(front, 'SIGKILL')
  await eventually(async () => (await frontOf(server)) !== front)
  const told = new RegExp(`\\[alert\\] \\d+#\\d+: worker process ${front} exited on signal 9`)
  await eventually(() => told.test(server.errorLog()))
})

test('TERM to the front ends it with code 0 and no alert, and it is replaced', async t => {
  const server = await serve(t, conf())
  const front = await frontOf(server)
  process.kill(front, 'SIGTERM')
  await eventually(() => server.errorLog().includes(`worker process ${front} exited with code 0`))
  assert.notEqual(await frontOf(server), front)
  assert.doesNotMatch(server.errorLog(), /\[alert\]/)
})

test('when the master is killed, nothing of it stays', async t => {
  const server = await serve(t, conf())
  const processes = server.processes()
  process.kill(server.pid, 'SIGKILL')
  await eventually(() => processes.every(one => !isAlive(one)))
  await eventually(async () => !(await accepts(server.port)))
})

test('USR1 opens the logs anew in the master and in the threads', async t => {
  const server = await serve(
    t,
    conf('server { listen 127.0.0.1:%%PORT_1%%; access_log %%DIR%%/access.log; return 200; }'),
  )
  await get(server.ports[1]!)
  await eventually(() => server.accessLog() !== '')
  for (const name of ['error.log', 'access.log']) renameSync(join(server.dir, name), join(server.dir, `${name}.1`))
  server.signal('SIGUSR1')
  await eventually(() => existsSync(join(server.dir, 'error.log')) && existsSync(join(server.dir, 'access.log')))
  await eventually(async () => {
    await get(server.ports[1]!)
    return server.accessLog() !== ''
  })
  assert.match(server.file('error.log.1'), /reopening logs/)
  await server.stop()
  assert.match(server.errorLog(), /exited with code 0(?:.*\n)+.*exit\n$/)
})

test('-s reload, reopen and quit reach the running master', async t => {
  const server = await serve(t, conf())
  const send = (name: string): number | null =>
    spawnSync(PORTICO, ['-p', `${server.dir}/`, '-c', 'portico.conf', '-e', 'error.log', '-s', name]).status
  assert.equal(send('reload'), 0)
  await eventually(() => server.errorLog().includes('(SIGHUP) received'))
  assert.equal(send('reopen'), 0)
  await eventually(() => server.errorLog().includes('(SIGUSR1) received'))
  assert.equal(send('quit'), 0)
  assert.equal(await server.exited, 0)
})

test('a daemon: the starting process returns with code 0 when it serves', async t => {
  const server = await serve(t, conf('', 'daemon on;'))
  assert.equal(await server.exited, 0)
  assert.notEqual(server.pid, server.child.pid)
  assert.equal((await get(server.port)).status, 200)
  assert.equal(server.output, '')
  // Its own session, and nothing of the caller's left open.
  assert.equal(statusOf(server.pid, 'NSsid'), `${server.pid}`)
  await server.stop()
})

test('a daemon that cannot start tells its caller, who exits with code 1', async t => {
  const dir = tempDir(t)
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  writeFiles(dir, { 'a.conf': `${user} events {} pid /no/such/folder/a.pid;`, 'logs/.keep': '' })
  const { status, stderr } = spawnSync(PORTICO, ['-p', dir, '-c', 'a.conf', '-e', 'e.log'], { encoding: 'latin1' })
  assert.equal(status, 1)
  assert.equal(stderr, 'portico: [emerg] open() "/no/such/folder/a.pid" failed (2: No such file or directory)\n')
})

test('WINCH ends the front of a daemon, and HUP brings it back', async t => {
  const server = await serve(t, conf('', 'daemon on;'))
  const front = await frontOf(server)
  server.signal('SIGWINCH')
  await eventually(() => server.errorLog().includes(`worker process ${front} exited with code 0`))
  await server.reload()
  await eventually(async () => (await frontOf(server)) !== front)
  await server.stop()
})

test('as root, the front and its logs and folders belong to `user`', async t => {
  if (!needsOtherUsers(t)) return
  const server = await serve(
    t,
    conf(
      'client_body_temp_path %%DIR%%/body; server { listen 127.0.0.1:%%PORT_1%%; access_log %%DIR%%/access.log; return 200; }',
      'user nobody nogroup; working_directory /; worker_rlimit_nofile 1234; worker_processes 2;',
    ),
  )
  const front = await frontOf(server)
  const uid = statSync(join(server.dir, 'body')).uid
  assert.notEqual(uid, 0)
  assert.equal(statusOf(front, 'Uid'), `${uid}\t${uid}\t${uid}\t${uid}`)
  assert.equal(statusOf(front, 'Groups').trim(), statusOf(front, 'Gid').split('\t')[0])
  assert.equal(statSync(join(server.dir, 'access.log')).uid, uid)
  assert.match(readFileSync(`/proc/${front}/limits`, 'latin1'), /Max open files\s+1234/)
  // Files the user cannot read: the configuration is the master's matter, also for threads that start later.
  chmodSync(join(server.dir, 'portico.conf'), 0o600)
  chownSync(join(server.dir, 'portico.conf'), 0, 0)
  await server.reload()
  await eventually(() => count(server.errorLog(), /exited with code 0/) === 2)
  assert.equal(await frontOf(server), front)
})

test('a pid file somebody else has replaced is left alone', async t => {
  const server = await serve(t, conf())
  const file = join(server.dir, 'portico.pid')
  const { pid } = server
  writeFileSync(file, '1\n')
  process.kill(pid, 'SIGTERM')
  assert.equal(await server.exited, 0)
  assert.equal(readFileSync(file, 'latin1'), '1\n')
})
