// What an application says before and behind its response, to clients of HTTP/2.

import assert from 'node:assert/strict'
import test from 'node:test'
import { needs, serve } from '../helpers/index.ts'
import { get, headers, http2 } from '../helpers/http2.ts'

const WSGI = `def application(environ, start_response):
    environ['wsgi.early_hints']([('Link', '</w.css>; rel=preload')])
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'wsgi']
`

const ASGI = `async def application(scope, receive, send):
    if scope['type'] != 'http':
        return
    await send({'type': 'http.response.early_hint', 'links': [b'</a.css>; rel=preload', b'</b.css>']})
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'trailer', b'x-sum')], 'trailers': True})
    await send({'type': 'http.response.body', 'body': b'as', 'more_body': True})
    await send({'type': 'http.response.body', 'body': b'gi'})
    await send({'type': 'http.response.trailers', 'headers': [(b'x-sum', b'42')]})
`

test('http2: early hints and trailers of applications reach the client, each in its place', async t => {
  if (!needs(t, 'python3')) return
  const server = await serve(t, {
    conf: `http { app wsgi { directory %%DIR%%; module w:application; workers 1; }
      app asgi { directory %%DIR%%; module a:application; kind asgi; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; http2 on; early_hints $http2;
        location / { app_pass wsgi; } location /asgi { app_pass asgi; } location /silent { early_hints 0; app_pass asgi; } } }`,
    files: { 'w.py': WSGI, 'a.py': ASGI },
  })
  const client = await http2(t, server.port)
  client.send(headers(1, get()), headers(3, get('/asgi', [['te', 'trailers']])), headers(5, get('/silent')))
  const hinted = (stream: number): (readonly string[])[][] =>
    client.answer(stream).interim.map(fields => fields.map(field => [...field]))
  const first = await client.response(1)
  assert.deepEqual(hinted(1), [
    [
      [':status', '103'],
      ['link', '</w.css>; rel=preload'],
    ],
  ])
  assert.equal(first.body, 'wsgi')
  const second = await client.response(3)
  assert.deepEqual(hinted(3), [
    [
      [':status', '103'],
      ['link', '</a.css>; rel=preload'],
      ['link', '</b.css>'],
    ],
  ])
  assert.deepEqual([second.status, second.body, second.trailers.get('x-sum')], [200, 'asgi', '42'])
  const third = await client.response(5)
  assert.deepEqual([hinted(5), third.body], [[], 'asgi'])
})
