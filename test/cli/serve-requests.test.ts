// Requests byte by byte behind `portico serve`: what is a request comes to the application as it was sent, what is none never
// comes there. Gunicorn draws the line in the same places.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { raw, serveApp } from '../helpers/index.ts'
import { env } from './serve-command.ts'

const ECHO = `import json
calls = 0

def application(environ, start_response):
    global calls
    calls += 1
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    body = json.dumps({**told, 'body': environ['wsgi.input'].read().decode('latin-1'), 'calls': calls}).encode()
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])
    return [body]
`

const VALID: [bytes: string, told: Record<string, string>][] = [
  [
    "GET / HTTP/1.1\r\nHost: a\r\nX.Y: dots\r\n!#$%&'*+^\x60|~9: signs\r\n\r\n",
    { 'HTTP_X.Y': 'dots', "HTTP_!#$%&'*+^`|~9": 'signs' },
  ],
  ['GET http://a?b=c HTTP/1.1\r\nHost: a\r\n\r\n', { RAW_URI: 'http://a?b=c', PATH_INFO: '/', QUERY_STRING: 'b=c' }],
  ['GET http://u%40:p@a_b:8/c#d HTTP/1.1\r\n\r\n', { RAW_URI: 'http://u%40:p@a_b:8/c#d', PATH_INFO: '/c' }],
  // Paths are not resolved, nor must they be rightly encoded.
  ['GET /a/../../b%2f./c HTTP/1.0\r\n\r\n', { RAW_URI: '/a/../../b%2f./c', PATH_INFO: '/a/../../b/./c' }],
  ['GET /100%/%zz/%C3%a9/%25/%0?%zz#e HTTP/1.0\r\n\r\n', { PATH_INFO: '/100%/%zz/\xc3\xa9/%/%0', QUERY_STRING: '%zz' }],
  ['GET /%00/a HTTP/1.0\r\nX: y\r\n\r\n', { PATH_INFO: '/\0/a', HTTP_X: 'y' }],
  ['GET /?#a?b HTTP/1.2\r\n\r\n', { PATH_INFO: '/', QUERY_STRING: '', SERVER_PROTOCOL: 'HTTP/1.2' }],
  ['TRACE /a HTTP/1.1\r\n\r\n', { REQUEST_METHOD: 'TRACE', PATH_INFO: '/a' }],
  ['CONNECT a_b.c:443 HTTP/1.0\r\n\r\n', { REQUEST_METHOD: 'CONNECT', RAW_URI: 'a_b.c:443' }],
  ['CONNECT a:1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab', { REQUEST_METHOD: 'CONNECT', body: 'ab' }],
  // Of what was done to a body but its chunks are undone.
  [
    'POST / HTTP/1.1\r\nTransfer-Encoding: gzip, identity ,Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    { HTTP_TRANSFER_ENCODING: 'gzip', CONTENT_LENGTH: '3', body: 'abc' },
  ],
  ['OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', { REQUEST_METHOD: 'OPTIONS', PATH_INFO: '*', RAW_URI: '*' }],
  [
    '\r\n\r\nREPORT2 //a?b=c?d HTTP/1.0\r\n\r\n',
    { REQUEST_METHOD: 'REPORT2', PATH_INFO: '//a', QUERY_STRING: 'b=c?d' },
  ],
  [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\nA;x="y"\r\n0123456789\r\n000\r\nT: t\r\n\r\n',
    { body: '0123456789' },
  ],
  // Gunicorn does not ask for a Host.
  ['GET /a?b HTTP/1.1\r\nX: y\r\n\r\n', { RAW_URI: '/a?b', HTTP_X: 'y' }],
  ['GET http://a.b:5/c HTTP/1.1\r\n\r\n', { PATH_INFO: '/c' }],
  ['GET / HTTP/1.1\r\nHost:\r\n\r\n', { HTTP_HOST: '' }],
  ['POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n', { body: 'x' }],
  // A value that reads like a variable's name is a value all the same.
  [
    'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-B: HTTP_X_A\r\nX-C: 3\r\nX-A: 2\r\n\r\n',
    { HTTP_X_A: '1,2', HTTP_X_B: 'HTTP_X_A', HTTP_X_C: '3' },
  ],
  [
    'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-B: HTTP_X_A\r\nX-A: 2\r\n\r\n',
    { HTTP_X_A: '1,2', HTTP_X_B: 'HTTP_X_A', PATH_INFO: '/' },
  ],
  ['GET / HTTP/1.1\r\nHost: a\r\nX-A: \t \xe9 b \t\r\nX-B:\r\n\r\n', { HTTP_X_A: '\xe9 b', HTTP_X_B: '' }],
]

const INVALID = [
  'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n',
  'CONNECT u@a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET * HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET http://a@b@c/ HTTP/1.1\r\nHost: a\r\n\r\n',
  ...['chunked, identity', 'gzip, chunked, chunked', 'gzip', 'br, chunked', 'gzip chunked', ', chunked'].map(
    codings => `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${codings}\r\n\r\n0\r\n\r\n`,
  ),
  'GET /\r\n\r\n',
  'GET / HTTP/2.0\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1 \r\nHost: a\r\n\r\n',
  'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /  HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.10\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\nHost: a\n\n',
  'GE / HTTP/1.1\r\nHost: a\r\n\r\n',
  'AMETHODTHATISTOOLONGBYFAR / HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: y\r\nHost: b\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nContent-Length: 3\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n(X: y\r\n\r\n',
  'GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: /\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX\xe9: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 3\r\n\r\nabc',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n',
]

test('serve: valid requests come to the application to the byte, and no other does', async t => {
  const server = await serveApp(t, ['echo'], { files: { 'echo.py': ECHO }, env })
  for (const [bytes, told] of VALID) {
    const client = await raw(t, server.port)
    await client.send(bytes)
    const { status, text } = await client.response()
    assert.equal(status, 200, JSON.stringify(bytes))
    const heard = JSON.parse(text)
    for (const [name, value] of Object.entries(told)) assert.equal(heard[name], value, JSON.stringify(bytes))
    client.destroy()
  }
  for (const bytes of INVALID) {
    const client = await raw(t, server.port)
    await client.send(bytes)
    assert.match(await client.closed(), /^HTTP\/1\.1 (?:400|501|505) /, JSON.stringify(bytes))
  }
  const last = await raw(t, server.port)
  assert.equal(JSON.parse((await last.request()).text).calls, VALID.length + 1)
})

test('serve: what is expected of it and not known gets 417, as from Gunicorn', async t => {
  const server = await serveApp(t, ['echo'], { files: { 'echo.py': ECHO }, env })
  const expecting = async (value: string, version = '1.1') => {
    const client = await raw(t, server.port)
    const fields = `Host: a\r\nExpect: ${value}\r\nContent-Length: 3\r\nConnection: close\r\n\r\n`
    await client.send(`POST / HTTP/${version}\r\n${fields}abc`)
    return client.closed()
  }
  assert.match(await expecting('100-Continue'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
  assert.match(await expecting('100-continue', '1.0'), /^HTTP\/1\.1 200 /)
  assert.match(await expecting('something'), /^HTTP\/1\.1 417 Expectation Failed\r\n/)
  assert.match(await expecting('', '1.0'), /^HTTP\/1\.1 417 /)
})

test('serve: an ASGI application gets paths as they were sent, too', async t => {
  const app = `
async def application(scope, receive, send):
    told = [scope['method'], scope['path'], scope['raw_path'].decode(), scope['query_string'].decode()]
    told += [value.decode() for name, value in scope['headers'] if name == b'transfer-encoding']
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'%d' % len(repr(told)))]})
    await send({'type': 'http.response.body', 'body': repr(told).encode()})
`
  const server = await serveApp(t, ['-k', 'asgi', 'app'], { files: { 'app.py': app }, env })
  for (const [bytes, told] of [
    ['GET /a/../../%2e/b?c#d HTTP/1.1\r\n\r\n', "['GET', '/a/../.././b', '/a/../../%2e/b', 'c']"],
    ['TRACE http://u@h/100%?% HTTP/1.1\r\n\r\n', "['TRACE', '/100%', '/100%', '%']"],
    ['CONNECT h:1 HTTP/1.1\r\n\r\n', "['CONNECT', '/', '/', '']"],
    ['PUT /%00 HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', "['PUT', '/\\x00', '/%00', '', 'gzip']"],
  ] as const) {
    const client = await raw(t, server.port)
    await client.send(bytes)
    assert.equal((await client.response()).text, told)
    client.destroy()
  }
})

test("serve: Gunicorn's settings permit what is wrong", async t => {
  const permit = '--permit-obsolete-folding --strip-header-spaces --casefold-http-method'
  const flags = `${permit} --permit-unconventional-http-method --permit-unconventional-http-version`.split(' ')
  const server = await serveApp(t, [...flags, 'echo'], { files: { 'echo.py': ECHO }, env })
  for (const [bytes, told] of [
    ['GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n', { HTTP_X: 'a b' }],
    ['GET / HTTP/1.1\r\nX \t: a\r\n\r\n', { HTTP_X: 'a' }],
    ['put / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab', { REQUEST_METHOD: 'PUT', body: 'ab' }],
    ['GET / HTTP/2.0\r\n\r\n', { SERVER_PROTOCOL: 'HTTP/2.0' }],
  ] as const) {
    const client = await raw(t, server.port)
    await client.send(bytes)
    const heard = JSON.parse((await client.response()).text)
    for (const [name, value] of Object.entries(told)) assert.equal(heard[name], value, JSON.stringify(bytes))
    client.destroy()
  }
})
