// Names that every JavaScript object knows are names as any other, whoever says them.

import assert from 'node:assert/strict'
import test from 'node:test'
import { kindOf, OTHER } from '../../src/http/app/fields.ts'
import { serveHttp } from '../helpers/http.ts'
import { origin, request } from '../helpers/index.ts'

const NAMES = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__']

test('an application’s fields go on by names that objects have, too', () => {
  for (const name of NAMES) assert.equal(kindOf(name), OTHER, name)
})

test('such names go from client to upstream and back, and are found by variables', async t => {
  const fields = (mark: string): Record<string, string> =>
    Object.fromEntries(NAMES.map(name => [name, `${mark}${name}`]))
  const text = NAMES.map(name => `${name}: of ${name}\r\n`).join('')
  const back = await origin(t, `HTTP/1.1 200 OK\r\n${text}Content-Length: 0\r\n\r\n`)
  const server = await serveHttp(
    t,
    `underscores_in_headers on;
     location / { proxy_pass http://127.0.0.1:${back.port}; }
     location /own { return 200 "$arg_constructor $http_constructor $cookie_constructor $arg___proto__ $http___proto__ $m"; }`,
    'map $arg_k $m { default none; a b; }',
  )
  const headers = Object.defineProperty(fields('by '), '__proto__', { value: 'by __proto__', enumerable: true })
  const answer = await request({ address: server.port, headers })
  const sent = new Map(back.requests[0]!.headers.map(([name, value]) => [name.toLowerCase(), value]))
  for (const name of NAMES) {
    assert.equal(answer.header(name.toLowerCase()), `of ${name}`)
    assert.equal(sent.get(name.toLowerCase()), `by ${name}`)
  }
  const path = '/own?constructor=1&__proto__=2&k=constructor'
  const own = await request({ address: server.port, path, headers: { ...headers, Cookie: 'constructor=3' } })
  assert.equal(own.text, '1 by constructor 3 2 by __proto__ none')
})
