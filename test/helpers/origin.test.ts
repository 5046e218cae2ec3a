// The raw client and the scripted origin, against each other.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, get, isMissing, needs, origin, raw, reply, request } from './index.ts'

test('origin: a script is answered in its order, the last answer again and again', async t => {
  const server = await origin(t, [reply('one'), reply('two', { 'X-Nr': '2' }, '201 Created')])
  assert.equal((await get(server.port)).text, 'one')
  const second = await get(server.port, '/second')
  assert.equal(second.status, 201)
  assert.equal(second.header('x-nr'), '2')
  assert.equal((await get(server.port)).text, 'two')
  assert.deepEqual(
    server.requests.map(r => [r.target, r.connection, r.turn]),
    [
      ['/', 0, 0],
      ['/second', 1, 0],
      ['/', 2, 0],
    ],
  )
})

test('origin: a handler sees the request and its body, on a Unix socket too', async t => {
  const server = await origin(t, r => reply(`${r.method} ${r.text} ${r.header('x-a')}`), { unix: true })
  const options = { address: server.path, method: 'PUT', body: 'data', headers: { 'X-A': ['1', '2'] } }
  assert.equal((await request(options)).text, 'PUT data 1, 2')
})

test('raw: pipelined requests, an interim response and a close are read one by one', async t => {
  const server = await origin(t, ['HTTP/1.1 103 Early Hints\r\n\r\n' + reply('a'), reply('b')], {
    requestsPerConnection: 2,
  })
  const client = await raw(t, server.port)
  await client.send('GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n')
  assert.equal((await client.response()).status, 103)
  assert.equal((await client.response()).text, 'a')
  assert.equal((await client.response()).text, 'b')
  assert.equal(await client.closed(), '')
})

test('raw: request() uses a connection again', async t => {
  const server = await origin(t, r => reply(String(r.turn)))
  const client = await raw(t, server.port)
  assert.equal((await client.request({ method: 'POST' })).text, '0')
  assert.equal((await client.request()).text, '1')
  assert.equal(server.accepted, 1)
  client.destroy()
  await eventually(() => server.open.size === 0)
})

test('raw: until() gives what came, and fails when the text can come no more', async t => {
  const server = await origin(t, (_, socket) => void socket.end('partial'))
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\n\r\n')
  assert.equal(await client.until('part'), 'part')
  await assert.rejects(client.until('whole'), /closed before "whole" came, after "ial"/)
})

test('raw: an answer that does not come is an error that tells what did', async t => {
  const server = await origin(t, (_, socket) => void socket.write('HTTP/1.1 200 OK\r\n'))
  const client = await raw(t, server.port)
  await assert.rejects(client.request({ timeoutMs: 50 }), /no whole response: "HTTP\/1.1 200 OK/)
})

test('eventually: an assertion that never holds is what the test sees', async () => {
  let calls = 0
  assert.equal(await eventually(() => ++calls === 3 && 'yes'), 'yes')
  await assert.rejects(
    eventually(() => assert.equal(calls, 4), 40),
    assert.AssertionError,
  )
})

test('needs: what is declared missing skips a test by name', t => {
  const before = process.env['PORTICO_MISSING']
  t.after(() =>
    before === undefined ? delete process.env['PORTICO_MISSING'] : (process.env['PORTICO_MISSING'] = before),
  )
  process.env['PORTICO_MISSING'] = 'wrk,gunicorn'
  const said: string[] = []
  assert.ok(isMissing('gunicorn'))
  assert.equal(needs({ skip: text => void said.push(text ?? '') }, 'gunicorn'), false)
  assert.match(said[0]!, /gunicorn missing: on Debian, "apt-get install gunicorn"/)
})
