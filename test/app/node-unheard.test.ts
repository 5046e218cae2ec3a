// Requests that a Node worker has never read when it ends go to another; those that it has read do not.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { join } from 'node:path'
import { eventually } from '../helpers/eventually.ts'
import { get, request } from '../helpers/raw.ts'
import { serve, type Server } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const SOURCE = `import http from 'node:http'
const busy = ms => { for (const end = Date.now() + ms; Date.now() < end; ); }
http.createServer((q, s) => {
  if (q.url === '/die') { busy(1000); process.kill(process.pid, 'SIGKILL'); busy(1000) }
  let length = 0
  q.on('data', part => { length += part.length }).on('end', () => s.end(q.method + ' ' + length))
}).listen(3456)`

interface More {
  readonly dir?: string
  readonly env?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string>>
  readonly workers?: number
}

function serveSource(t: TestContext, source: string, { files, workers = 1, ...more }: More = {}): Promise<Server> {
  return serve(t, {
    conf: `
events { }
http {
  access_log off;
  app own { directory %%DIR%%; module a.mjs; workers ${workers}; }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: { 'a.mjs': source, ...files },
    ...more,
  })
}

test('node unheard: requests that wait for a worker’s busy loop are served by the next one when it dies', async t => {
  const server = await serveSource(t, SOURCE)
  const post = (length: number) =>
    request({ address: server.port, method: 'POST', path: '/', body: 'x'.repeat(length) })
  // A connection that is there already, and new ones.
  assert.equal((await get(server.port, '/')).text, 'GET 0')
  const deadly = get(server.port, '/die')
  const others = await Promise.all([get(server.port, '/'), get(server.port, '/'), post(10), post(5000)])
  assert.deepEqual(
    others.map(({ text }) => text),
    ['GET 0', 'GET 0', 'POST 10', 'POST 5000'],
  )
  assert.equal((await deadly).status, 502)
})

const NO_PROC = !existsSync('/proc/net/unix') && 'needs /proc/net/unix'

/** What the kernel says of the sockets below the folder this process was started in. */
const SOCKETS = `
import { readFileSync } from 'node:fs'
const IN_BACKLOG = '02'
const LISTENS = '00010000'
const sockets = () => readFileSync('/proc/net/unix', 'latin1').split('\\n').filter(line => line.includes(process.cwd())).map(line => line.split(/ +/))
export const isAwaited = () => sockets().some(([, , , flags, , state]) => flags !== LISTENS && state === IN_BACKLOG)
export const isThere = path => sockets().some(([, , , flags, , , , name]) => flags === LISTENS && name === path)
`

test(
  'node unheard: what has read a request and dies is not asked again, however long it still listens, nor is another',
  { skip: NO_PROC },
  async t => {
    // A process that dies closes its connections one by one, and the socket on which it listens behind them.
    const source = `import http from 'node:http'
import { appendFileSync } from 'node:fs'
import { isAwaited } from './sockets.mjs'
http.createServer((q, s) => {
  if (q.url !== '/die') return s.end(String(process.pid))
  appendFileSync('heard', process.pid + '\\n')
  q.socket.destroy()
  for (const end = Date.now() + 500; !isAwaited() && Date.now() < end; );
  process.kill(process.pid, 'SIGKILL')
}).listen(3456)`
    const server = await serveSource(t, source, { workers: 2, files: { 'sockets.mjs': SOCKETS } })
    const pids = new Set<string>()
    // Each has an idle connection.
    await eventually(async () => pids.add((await get(server.port, '/')).text).size === 2)
    assert.equal((await get(server.port, '/die')).status, 502)
    const heard = server.file('heard').trim().split('\n')
    assert.equal(heard.length, 1)
    await eventually(() => server.errorLog().includes(`worker process ${heard[0]} exited on signal 9`))
  },
)

test(
  'node unheard: a request that comes between a worker’s death and its last socket’s end waits for the next worker',
  { skip: NO_PROC },
  async t => {
    const source = `import http from 'node:http'
import { writeFileSync } from 'node:fs'
import { isAwaited } from './sockets.mjs'
http.createServer((q, s) => {
  if (q.url !== '/die') return s.end('served')
  writeFileSync('dying', 'now')
  for (const end = Date.now() + 20_000; !isAwaited() && Date.now() < end; );
  process.kill(process.pid, 'SIGKILL')
}).listen(3456)`
    // The front has called connect(), and hears what came of it when nobody is there any more.
    const slow = `import net from 'node:net'
import { existsSync, rmSync } from 'node:fs'
import { isThere } from './sockets.mjs'
const { connect } = net.Socket.prototype
net.Socket.prototype.connect = function (...args) {
  const { path } = Object(Object(args[0])[0] ?? args[0])
  const result = connect.apply(this, args)
  if (String(path).endsWith('.sock') && existsSync('dying')) {
    for (const end = Date.now() + 20_000; isThere(path) && Date.now() < end; );
    rmSync('dying')
  }
  return result
}`
    const dir = tempDir(t)
    const server = await serveSource(t, source, {
      dir,
      files: { 'sockets.mjs': SOCKETS, 'slow.mjs': slow },
      env: { NODE_OPTIONS: `--import=${join(dir, 'slow.mjs')}` },
    })
    assert.equal((await get(server.port, '/')).text, 'served')
    const deadly = get(server.port, '/die')
    await eventually(() => server.file('dying') !== '')
    assert.equal((await get(server.port, '/')).text, 'served')
    assert.equal((await deadly).status, 502)
  },
)
