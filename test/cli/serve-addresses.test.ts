// How a client came, as an application under `portico serve` is told: by proxies that are trusted, and not by anybody else.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { encodeVariable, packetHead } from '../../src/codec/uwsgi.ts'
import { accepts, connectTo } from '../helpers/ports.ts'
import { eventually, get, needs, PYTHON, raw, serveApp, within } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'

const env = { PORTICO_PYTHON: PYTHON }
const NAMES =
  'REMOTE_ADDR REMOTE_PORT wsgi.url_scheme SCRIPT_NAME PATH_INFO HTTP_HOST SERVER_NAME SERVER_PORT PROXY_ADDR PROXY_PROTOCOL ' +
  'HTTP_SCRIPT_NAME HTTP_A_B HTTP_X_FORWARDED_FOR'
const files = {
  'told.py': `import json
def app(environ, start_response):
    start_response('200 OK', [])
    return [json.dumps({name: environ[name] for name in '${NAMES}'.split() if name in environ}).encode()]

async def scope(scope, receive, send):
    told = {'client': scope['client'], 'scheme': scope['scheme'], 'version': scope['http_version'], 'headers': [[a.decode(), b.decode()] for a, b in scope['headers']]}
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': json.dumps(told).encode()})
`,
}

type Told = Readonly<Record<string, string>>

async function told(server: Server, headers: Record<string, string> = {}, path = '/'): Promise<Told> {
  const answer = await get(server.port, path, headers)
  assert.equal(answer.status, 200, answer.text)
  return JSON.parse(answer.text) as Told
}

test('a trusted proxy says what the scheme is, and where the application is mounted', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['told:app'], { files, env })
  assert.equal((await told(server))['wsgi.url_scheme'], 'http')
  assert.equal((await told(server, { 'X-Forwarded-Proto': 'https' }))['wsgi.url_scheme'], 'https')
  assert.equal((await told(server, { 'X-Forwarded-Ssl': 'on' }))['wsgi.url_scheme'], 'https')
  assert.equal((await told(server, { 'X-Forwarded-Ssl': 'off' }))['wsgi.url_scheme'], 'http')
  assert.equal((await get(server.port, '/', { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Ssl': 'off' })).status, 400)
  const mounted = await told(server, { SCRIPT_NAME: '/app' }, '/app/page')
  assert.deepEqual(
    [mounted['SCRIPT_NAME'], mounted['PATH_INFO'], mounted['HTTP_SCRIPT_NAME']],
    ['/app', '/page', '/app'],
  )
  assert.equal((await get(server.port, '/other', { SCRIPT_NAME: '/app' })).status, 500)
  await eventually(() => /the path "\/other" is not below SCRIPT_NAME "\/app"/.test(server.output))
  // REMOTE_ADDR is the peer's, as with Gunicorn; other fields with "_" are dropped, whoever sends them.
  const plain = await told(server, { 'X-Forwarded-For': '192.0.2.1', a_b: 'x' })
  assert.deepEqual(
    [plain['REMOTE_ADDR'], plain['HTTP_X_FORWARDED_FOR'], plain['HTTP_A_B']],
    ['127.0.0.1', '192.0.2.1', undefined],
  )
})

test('a mount may be percent-encoded, as the client sent it', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['told:app'], { files, env })
  const below = async (mount: string, path: string) => {
    const one = await told(server, { SCRIPT_NAME: mount }, path)
    return [one['SCRIPT_NAME'], one['PATH_INFO']]
  }
  assert.deepEqual(await below('/a%20b', '/a%20b/the%20page'), ['/a%20b', '/the page'])
  assert.deepEqual(await below('/a%20b', '/a%20b'), ['/a%20b', ''])
  assert.deepEqual(await below('/caf%C3%A9', '/caf%c3%a9/x'), ['/caf%C3%A9', '/x'])
  assert.deepEqual(await below('/a b', '/a%20b/x'), ['/a b', '/x'])
  for (const [mount, path] of [
    ['/a%20b', '/a%20bc'],
    ['/a%2', '/a%20b'],
    ['/a%zz', '/a'],
  ] as const) {
    assert.equal((await get(server.port, path, { SCRIPT_NAME: mount })).status, 500, mount)
  }
  const mounted = await serveApp(t, ['--env', 'SCRIPT_NAME=/my%20app', 'told:app'], { files, env })
  const one = await told(mounted, {}, '/my%20app/x')
  assert.deepEqual([one['SCRIPT_NAME'], one['PATH_INFO']], ['/my%20app', '/x'])
})

test('a mount is none of an ASGI application, which has --root-path', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['-k', 'asgi', '--env', 'SCRIPT_NAME=/app', 'told:scope'], { files, env })
  assert.equal((await get(server.port, '/other')).status, 200)
  assert.equal((await get(server.port, '/other', { SCRIPT_NAME: '/else' })).status, 200)
})

test('whoever is not trusted is not believed', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--forwarded-allow-ips', '10.0.0.0/8', '--forwarded', 'x-forwarded', 'told:app'], {
    files,
    env,
  })
  const forged = await told(server, {
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-For': '192.0.2.1',
    'X-Forwarded-Host': 'evil.example',
    SCRIPT_NAME: '/x',
  })
  assert.deepEqual(
    [
      forged['wsgi.url_scheme'],
      forged['REMOTE_ADDR'],
      forged['SCRIPT_NAME'],
      forged['PATH_INFO'],
      forged['HTTP_SCRIPT_NAME'],
    ],
    ['http', '127.0.0.1', '', '/', undefined],
  )
  assert.doesNotMatch(forged['HTTP_HOST']!, /evil/)
  // What contradicts itself is nobody's concern then.
  await told(server, { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Ssl': 'off' })
})

test('header_map says what becomes of names with "_"', async t => {
  if (!needs(t, 'python3')) return
  const refuse = await serveApp(t, ['--header-map', 'refuse', 'told:app'], { files, env })
  assert.equal((await get(refuse.port, '/', { a_b: 'x' })).status, 400)
  assert.equal((await get(refuse.port, '/x', { SCRIPT_NAME: '/x' })).status, 200)
  const dangerous = await serveApp(t, ['--header-map', 'dangerous', 'told:app'], { files, env })
  assert.equal((await told(dangerous, { a_b: 'x' }))['HTTP_A_B'], 'x')
  // They are then one variable with what has "-" there, whichever comes first.
  assert.equal((await told(dangerous, { a_b: '1', 'A-B': '2' }))['HTTP_A_B'], '1,2')
  assert.equal((await told(dangerous, { 'A-B': '1', a_b: '2' }))['HTTP_A_B'], '1,2')
  const named = await serveApp(t, ['--forwarder-headers', 'A_B', 'told:app'], { files, env })
  assert.equal((await told(named, { a_b: 'x' }))['HTTP_A_B'], 'x')
  assert.equal((await told(named, { SCRIPT_NAME: '/x' }))['SCRIPT_NAME'], '')
  const all = await serveApp(t, ['--forwarder-headers', '*', 'told:app'], { files, env })
  assert.equal((await told(all, { SCRIPT_NAME: '/x' }, '/x/y'))['SCRIPT_NAME'], '/x')
})

test('a client on a Unix socket has neither address nor port, and there is always a name for the server', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['-b', 'unix:%%DIR%%/a.sock', 'told:app'], { files, env })
  const path = join(server.dir, 'a.sock')
  await eventually(() => accepts(path))
  const client = await raw(t, path)
  await client.send('GET / HTTP/1.0\r\n\r\n')
  const one = JSON.parse((await client.response()).text) as Told
  assert.deepEqual([one['REMOTE_ADDR'], 'REMOTE_PORT' in one, one['SERVER_NAME']], ['', false, 'localhost'])
})

test("--forwarded x-forwarded: the client is the last address that is no proxy's, for the log too", async t => {
  if (!needs(t, 'python3')) return
  const args = ['--forwarded', 'x-forwarded', '--forwarded-allow-ips', '127.0.0.1,10.0.0.0/8', '--access-logfile', '-']
  const server = await serveApp(t, [...args, '--access-logformat', '%(h)s %(U)s', 'told:app'], { files, env })
  const one = await told(server, {
    'X-Forwarded-For': '203.0.113.9, 192.0.2.1, 10.1.2.3',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': 'example.org:8443',
  })
  assert.deepEqual(
    [one['REMOTE_ADDR'], one['wsgi.url_scheme'], one['HTTP_HOST'], one['SERVER_NAME'], one['SERVER_PORT']],
    ['192.0.2.1', 'https', 'example.org:8443', 'example.org', '8443'],
  )
  await eventually(() => server.stdout === '192.0.2.1 /\n')
  assert.equal((await told(server, { 'X-Forwarded-For': 'nonsense' }))['REMOTE_ADDR'], '127.0.0.1')
})

test('--forwarded forwarded: the same from RFC 7239', async t => {
  if (!needs(t, 'python3')) return
  const args = ['--forwarded', 'forwarded', '--forwarded-allow-ips', '127.0.0.1,10.0.0.0/8', 'told:app']
  const server = await serveApp(t, args, { files, env })
  const one = await told(server, {
    Forwarded: 'for=203.0.113.9;proto=http, for="[2001:db8::1]:4711";proto=https;host=example.org, for=10.1.2.3',
    'X-Forwarded-For': '198.51.100.1',
  })
  assert.deepEqual(
    [one['REMOTE_ADDR'], one['REMOTE_PORT'], one['wsgi.url_scheme'], one['HTTP_HOST']],
    ['2001:db8::1', '4711', 'https', 'example.org'],
  )
  assert.equal((await told(server, { Forwarded: 'for=_hidden' }))['REMOTE_ADDR'], '127.0.0.1')
  assert.equal((await told(server, { Forwarded: 'for=192.0.2.1, broken' }))['REMOTE_ADDR'], '127.0.0.1')
})

test("applications of uvicorn's worker class are told what uvicorn would tell them", async t => {
  if (!needs(t, 'python3')) return
  const headers = { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https' }
  const server = await serveApp(t, ['-k', 'uvicorn.workers.UvicornWorker', 'told:scope'], { files, env })
  const { client, scheme } = JSON.parse((await get(server.port, '/', headers)).text) as {
    client: unknown
    scheme: string
  }
  assert.deepEqual([client, scheme], [['192.0.2.1', 0], 'https'])
  const plain = await serveApp(t, ['-k', 'asgi', 'told:scope'], { files, env })
  const answer = JSON.parse((await get(plain.port, '/', headers)).text) as { client: [string, number]; scheme: string }
  assert.deepEqual([answer.client[0], answer.scheme], ['127.0.0.1', 'https'])
})

/** What one connection answers to these bytes. */
async function exchange(server: Server, ...pieces: (string | Buffer)[]): Promise<string> {
  const socket = connectTo(server.port)
  let text = ''
  socket.on('data', bytes => (text += bytes.toString('latin1')))
  socket.on('error', () => {})
  const closed = new Promise(resolve => socket.once('close', resolve))
  await once(socket, 'connect')
  for (const piece of pieces) {
    socket.write(piece)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  await within(closed, 60_000, () => `no end after ${JSON.stringify(text)}`)
  return text
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const V1 = 'PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n'
const V2 = Buffer.concat([
  Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 'latin1'),
  Buffer.from([192, 0, 2, 7, 192, 0, 2, 8, 0x12, 0x34, 1, 187]),
])

test('the PROXY protocol tells the client, where a trusted peer speaks it', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--proxy-protocol', 'auto', 'told:app'], { files, env })
  const one = await exchange(server, V1 + REQUEST)
  assert.match(
    one,
    /"REMOTE_ADDR": "192\.0\.2\.1", "REMOTE_PORT": "4711"[^]*"PROXY_ADDR": "192\.0\.2\.2", "PROXY_PROTOCOL": "TCP4"/,
  )
  assert.match(await exchange(server, V2, REQUEST), /"REMOTE_ADDR": "192\.0\.2\.7", "REMOTE_PORT": "4660"/)
  assert.match(await exchange(server, 'PRO', 'XY TCP4 192.0.2.1 ', '192.0.2.2 4711 443\r\n', REQUEST), /"192\.0\.2\.1"/)
  // Without a header it is an ordinary client, also one whose method begins alike.
  assert.match(await exchange(server, REQUEST), /"REMOTE_ADDR": "127\.0\.0\.1"/)
  assert.match(await exchange(server, REQUEST.replace('GET', 'PROPFIND')), /"REMOTE_ADDR": "127\.0\.0\.1"/)
  const forbidden = await serveApp(t, ['--proxy-protocol', '--proxy-allow-from', '10.0.0.1', '-w', '1', 'told:app'], {
    files,
    env,
  })
  assert.match(await exchange(forbidden, V1 + REQUEST), /^HTTP\/1\.1 403 /)
  assert.match(await exchange(forbidden, REQUEST), /"REMOTE_ADDR": "127\.0\.0\.1"/)
  // A version that was not asked for is no header.
  const second = await serveApp(t, ['--proxy-protocol', 'v2', 'told:app'], { files, env })
  assert.match(await exchange(second, V1 + REQUEST), /^HTTP\/1\.1 400 |^<html>[^]*400 Bad/)
  const off = await serveApp(t, ['told:app'], { files, env })
  assert.match(await exchange(off, V1 + REQUEST), /400 Bad Request/)
})

test('by uwsgi, a client that is not named is the front itself, and nothing is a PROXY header', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--protocol', 'uwsgi', 'told:app'], { files, env })
  const variables = encodeVariable('REQUEST_METHOD', 'GET') + encodeVariable('PATH_INFO', '/')
  const client = await raw(t, server.port)
  await client.send(packetHead(0, variables.length, 0) + variables)
  const one = JSON.parse((await client.response()).text) as Told
  assert.deepEqual([one['REMOTE_ADDR'], one['REMOTE_PORT']], ['127.0.0.1', `${client.socket.localPort}`])
  assert.deepEqual([one['PROXY_PROTOCOL'], one['PROXY_ADDR']], [undefined, undefined])
  // What the client spoke is not HTTP/1.0, which the packet is read as.
  const asgi = await serveApp(t, ['-k', 'asgi', '--protocol', 'uwsgi', 'told:scope'], { files, env })
  for (const [protocol, version] of [
    ['HTTP/2.0', '2'],
    ['HTTP/1.0', '1.0'],
    ['', '1.1'],
  ] as const) {
    const more = variables + encodeVariable('SERVER_PROTOCOL', protocol)
    const other = await raw(t, asgi.port)
    await other.send(packetHead(0, more.length, 0) + more)
    assert.equal((JSON.parse((await other.response()).text) as Told)['version'], version)
  }
})

test('a Node application is told of the client by a trusted proxy, and by nobody else', async t => {
  const nodeFiles = {
    'told.mjs': `export default (q, s) => s.end(q.headers['x-forwarded-for'] + ' ' + q.headers['x-forwarded-proto'])`,
  }
  const headers = { 'X-Forwarded-For': '192.0.2.7', 'X-Forwarded-Proto': 'https' }
  const server = await serveApp(t, ['told.mjs'], { files: nodeFiles })
  assert.equal((await get(server.port, '/', headers)).text, '192.0.2.7 https')
  assert.equal((await get(server.port)).text, '127.0.0.1 http')
  const wary = await serveApp(t, ['--forwarded-allow-ips', '192.0.2.1', 'told.mjs'], { files: nodeFiles })
  assert.equal((await get(wary.port, '/', headers)).text, '192.0.2.7, 127.0.0.1 http')
})
