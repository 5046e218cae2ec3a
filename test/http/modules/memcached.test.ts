// Against memcached itself.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { accepts, atEnd, eventually, fileScope, findCommand, freePort, get, isMissing } from '../../helpers/index.ts'
import { raw, request } from '../../helpers/index.ts'

const scope = fileScope()
const skip = isMissing('memcached') ? 'memcached missing' : false

async function memcached(): Promise<number> {
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
  const child = spawn(findCommand('memcached')!, ['-l', '127.0.0.1', '-p', String(port), '-U', '0', ...user], {
    stdio: 'ignore',
  })
  const gone = once(child, 'exit')
  atEnd(scope, async () => {
    child.kill('SIGKILL')
    await gone
  })
  await eventually(() => accepts(port))
  return port
}

const port = skip === false ? await memcached() : 1
const server = await serveHttp(
  scope,
  `set $memcached_key "$uri$arg_key";
   location / { memcached_pass kept; memcached_gzip_flag 2; }
   location /page { memcached_pass kept; error_page 404 = @other; }
   location /unset { set $memcached_key ""; memcached_pass kept; }
   location @other { return 200 other; }`,
  `upstream kept { server 127.0.0.1:${port}; keepalive 1; }`,
)

async function store(key: string, value: string, flags = 0): Promise<void> {
  const client = await raw(scope, port)
  await client.send(`set ${key} ${flags} 0 ${value.length}\r\n${value}\r\n`)
  await eventually(() => client.received.includes('STORED'))
}

test('a value is the answer, of the type its name says', { skip }, async () => {
  await store('/a', 'value')
  await store('/big', 'x'.repeat(500_000))
  await store('/empty', '')
  assert.equal((await get(server.port, '/a')).text, 'value')
  assert.equal((await get(server.port, '/big')).body.length, 500_000)
  const empty = await get(server.port, '/empty')
  assert.deepEqual([empty.status, empty.text, empty.header('content-length')], [200, '', '0'])
  const head = await request({ address: server.port, path: '/a', method: 'HEAD' })
  assert.deepEqual([head.status, head.header('content-length')], [200, '5'])
})

test('keys are escaped', { skip }, async () => {
  await store('/with%20space%25', 'found')
  assert.equal((await get(server.port, '/with%20space%25')).text, 'found')
})

test('memcached_gzip_flag tells who has compressed it', { skip }, async () => {
  await store('/gz', 'zzz', 2)
  assert.equal((await get(server.port, '/gz')).header('content-encoding'), 'gzip')
  assert.equal((await get(server.port, '/a')).header('content-encoding'), null)
})

test('no value is a 404, which may lead elsewhere', { skip }, async () => {
  assert.equal((await get(server.port, '/nothing')).status, 404)
  assert.equal((await get(server.port, '/page')).text, 'other')
  assert.match(server.errorLog(), /\[info\] .*key: "\/nothing" was not found by memcached/)
})

test('without a key, or with another method, it is not asked', { skip }, async () => {
  assert.equal((await get(server.port, '/unset')).status, 500)
  assert.equal((await request({ address: server.port, path: '/a', method: 'POST' })).status, 405)
})

test('a trailer in pieces is one, and a wrong one is told', async () => {
  const answers = ['VALUE / 0 2\r\nok\r\nEND\r\n', 'VALUE / 0 2\r\nokay\r\nEND\r\n']
  const listener = net.createServer(socket => {
    // We close it while it still talks.
    socket.on('error', () => {})
    socket.once('data', () => {
      const answer = answers.shift()!
      for (const c of answer) socket.write(c)
    })
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  atEnd(scope, () => listener.close())
  const address = listener.address() as net.AddressInfo
  const other = await serveHttp(
    scope,
    `set $memcached_key $uri; location / { memcached_pass 127.0.0.1:${address.port}; }`,
  )
  assert.equal((await get(other.port, '/')).text, 'ok')
  assert.equal((await get(other.port, '/')).text, 'ok')
  assert.equal(other.errorLog().match(/memcached sent invalid trailer/g)?.length, 1)
})

/** Servers that answer each request with the next of these; the last one again and again. */
async function scripted(...answers: string[]): Promise<{ address: string; connections: () => number }> {
  let connections = 0
  const listener = net.createServer(socket => {
    connections++
    socket.on('error', () => {})
    socket.on('data', () => socket.write(answers.length > 1 ? answers.shift()! : answers[0]!))
    atEnd(scope, () => socket.destroy())
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  atEnd(scope, () => listener.close())
  const { port } = listener.address() as net.AddressInfo
  return { address: `127.0.0.1:${port}`, connections: () => connections }
}

test('flags count where memcached_gzip_flag asks for them', async () => {
  const { address } = await scripted('VALUE / x 2\r\nok\r\nEND\r\n')
  const other = await serveHttp(
    scope,
    `set $memcached_key /; location / { memcached_pass ${address}; }
     location /flag { memcached_pass ${address}; memcached_gzip_flag 1; }`,
  )
  assert.equal((await get(other.port, '/')).text, 'ok')
  assert.equal((await get(other.port, '/flag')).status, 502)
  assert.match(other.errorLog(), /memcached sent invalid flags in response "VALUE \/ x 2" for key "\/" while reading/)
})

test('a line that goes on for longer than the buffer is too big, though its end has come', async () => {
  const { address } = await scripted(`VALUE ${'x'.repeat(2000)}\r\n`)
  const other = await serveHttp(
    scope,
    `set $memcached_key /; location / { memcached_pass ${address}; memcached_buffer_size 1k; }`,
  )
  assert.equal((await get(other.port, '/')).status, 502)
  assert.match(other.errorLog(), /upstream sent too big header while reading response header from upstream/)
})

test('who has nothing under a key is asked for the next one on the same connection', async () => {
  const none = await scripted('END\r\n')
  const some = await scripted('VALUE / 0 2\r\nok\r\nEND\r\n')
  const other = await serveHttp(
    scope,
    'set $memcached_key /; location / { memcached_pass both; memcached_next_upstream not_found; }',
    `upstream both { server ${none.address}; server ${some.address} backup; keepalive 2; }`,
  )
  for (let i = 0; i < 3; i++) assert.equal((await get(other.port, '/')).text, 'ok')
  assert.deepEqual([none.connections(), some.connections()], [1, 1])
  assert.match(other.errorLog(), /\[info\] .*key: "\/" was not found by memcached while reading response header/)
})
