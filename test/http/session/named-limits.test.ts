// From the Host field on, a head is read as the server wants it that the field names (ngx_http_set_virtual_server).

import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { raw } from '../../helpers/index.ts'
import type { Scope } from '../../helpers/index.ts'

const names = ['underscores', 'taken', 'large', 'small', 'few', 'slashes']
const also = [
  'underscores_in_headers on;',
  'ignore_invalid_headers off;',
  'large_client_header_buffers 4 8k;',
  'large_client_header_buffers 2 512;',
  'max_headers 3;',
  'merge_slashes off;',
]

async function start(t: Scope, defaults = ''): Promise<(bytes: string, piece?: number) => Promise<[number, string]>> {
  const own = also.map(
    (settings, i) =>
      `} server { listen %PORT%; server_name ${names[i]}; ${settings} return 200 "${names[i]} $http_x_y $uri"; `,
  )
  const { port } = await serveHttp(
    t,
    `${defaults} location / { return 200 "default $http_x_y $uri"; } ${own.join('\n')}`,
    'client_header_buffer_size 512; large_client_header_buffers 4 1k;',
  )
  return async (bytes, piece = bytes.length) => {
    const client = await raw(t, port)
    const text = `${bytes}Connection: close\r\n\r\n`
    for (let i = 0; i < text.length; i += piece) await client.send(text.slice(i, i + piece))
    const answer = await client.response()
    return [answer.status, answer.text]
  }
}

const field = (length: number): string => `Big: ${'x'.repeat(length)}\r\n`
const fields = (count: number): string => 'A: 1\r\n'.repeat(count)

test('names of fields behind Host are judged as its server says, those before as the default server', async t => {
  const ask = await start(t)
  for (const piece of [1000, 1]) {
    assert.deepEqual(await ask('GET / HTTP/1.1\r\nHost: underscores\r\nX_y: 1\r\n', piece), [200, 'underscores 1 /'])
    assert.deepEqual(await ask('GET / HTTP/1.1\r\nX_y: 1\r\nHost: underscores\r\n', piece), [200, 'underscores  /'])
    assert.deepEqual(await ask('GET / HTTP/1.1\r\nHost: taken\r\nX_y: 1\r\n', piece), [200, 'taken 1 /'])
    assert.deepEqual(await ask('GET / HTTP/1.1\r\nHost: other\r\nX_y: 1\r\n', piece), [200, 'default  /'])
    // The target has named the server; its Host field comes too late.
    assert.deepEqual(await ask('GET http://underscores/ HTTP/1.1\r\nX_y: 1\r\nHost: other\r\n', piece), [
      200,
      'underscores 1 /',
    ])
  }
})

test('large_client_header_buffers and max_headers hold from Host on', async t => {
  const ask = await start(t)
  const status = async (text: string, piece?: number): Promise<number> => (await ask(text, piece))[0]
  assert.equal(await status(`GET / HTTP/1.1\r\nHost: large\r\n${field(2000)}`), 200)
  assert.equal(await status(`GET / HTTP/1.1\r\nHost: large\r\n${field(2000)}`, 500), 200)
  assert.equal(await status(`GET / HTTP/1.1\r\n${field(2000)}Host: large\r\n`), 400)
  assert.equal(await status(`GET / HTTP/1.1\r\nHost: small\r\n${field(700)}`), 400)
  assert.equal(await status(`GET / HTTP/1.1\r\nHost: other\r\n${field(700)}`), 200)
  assert.equal(await status(`GET / HTTP/1.1\r\n${field(700)}Host: other\r\n`), 200)
  // What has been taken before is not too much afterwards.
  assert.equal(await status(`GET / HTTP/1.1\r\n${field(900).repeat(2)}Host: small\r\nA: 1\r\n`), 200)
  assert.equal(await status(`GET /${'u'.repeat(2000)} HTTP/1.1\r\nHost: large\r\n`), 414)
  assert.equal(await status(`GET / HTTP/1.1\r\nHost: few\r\n${fields(3)}`), 400)
  assert.equal(await status(`GET / HTTP/1.1\r\n${fields(3)}Host: few\r\n`), 400)
  assert.equal(await status(`GET / HTTP/1.1\r\nHost: few\r\n${fields(1)}`), 200)
})

test('merge_slashes is the default server’s, whatever the request names', async t => {
  const merges = await start(t)
  assert.deepEqual(await merges('GET /a//b HTTP/1.1\r\nHost: slashes\r\n'), [200, 'slashes  /a/b'])
  assert.deepEqual(await merges('GET http://slashes/a//b HTTP/1.1\r\nHost: x\r\n'), [200, 'slashes  /a/b'])
  const keeps = await start(t, 'merge_slashes off;')
  assert.deepEqual(await keeps('GET /a//b HTTP/1.1\r\nHost: few\r\n'), [200, 'few  /a//b'])
})

test('what one request has named does not hold for the next of the connection', async t => {
  const { port } = await serveHttp(
    t,
    `return 200 "default $http_x_y";
     } server { listen %PORT%; server_name underscores; underscores_in_headers on; return 200 "named $http_x_y";`,
  )
  const client = await raw(t, port)
  const ask = async (host: string): Promise<string> => {
    await client.send(`GET / HTTP/1.1\r\nX_y: 0\r\nHost: ${host}\r\nX_y: 1\r\n\r\n`)
    return (await client.response()).text
  }
  assert.equal(await ask('underscores'), 'named 1')
  assert.equal(await ask('other'), 'default ')
  assert.equal(await ask('underscores'), 'named 1')
})
