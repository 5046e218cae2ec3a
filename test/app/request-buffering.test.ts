// app_request_buffering off, with every kind of worker.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { needs, PYTHON } from '../helpers/needs.ts'
import { get, raw, request } from '../helpers/raw.ts'
import { serve } from '../helpers/serve.ts'

for (const kind of ['sync', 'threads', 'asgi', 'gevent', 'node'] as const) {
  test(`app_request_buffering off: the application (${kind}) reads a body while the client still sends it`, async t => {
    if (kind !== 'node' && !needs(t, kind === 'gevent' ? 'gevent' : 'python3')) return
    const files = {
      'pace.py': `
import hashlib
def application(environ, start_response):
    if environ['PATH_INFO'] == '/not':
        start_response('200 OK', [('Content-Length', '3')])
        return [b'not']
    start_response('200 OK', [('Content-Type', 'text/plain'), ('X-Accel-Buffering', 'no')])
    def parts():
        body = environ['wsgi.input']
        yield b'%s|' % environ.get('CONTENT_LENGTH', 'none').encode()
        if environ['PATH_INFO'] == '/lines':
            for line in body:
                yield line.upper()
            return
        digest = hashlib.sha256()
        for piece in iter(lambda: body.read(50000), b''):
            digest.update(piece)
        yield digest.hexdigest().encode()
    return parts()
`,
      'pace_asgi.py': `
import hashlib
async def application(scope, receive, send):
    if scope['type'] != 'http':
        return
    length = dict(scope['headers']).get(b'content-length', b'none')
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'x-accel-buffering', b'no')]})
    if scope['path'] == '/not':
        await send({'type': 'http.response.body', 'body': b'not'})
        return
    await send({'type': 'http.response.body', 'body': length + b'|', 'more_body': True})
    digest = hashlib.sha256()
    more = True
    while more:
        message = await receive()
        more = message.get('more_body', False)
        digest.update(message['body'])
        if scope['path'] == '/lines':
            await send({'type': 'http.response.body', 'body': message['body'].upper(), 'more_body': True})
    end = b'' if scope['path'] == '/lines' else digest.hexdigest().encode()
    await send({'type': 'http.response.body', 'body': end})
`,
      'pace.mjs': `
import { createHash } from 'node:crypto'
export default async (request, response) => {
  if (request.url === '/not') { response.end('not'); return }
  response.setHeader('X-Accel-Buffering', 'no')
  response.write((request.headers['content-length'] ?? 'none') + '|')
  const hash = createHash('sha256')
  try {
    for await (const part of request) {
      hash.update(part)
      if (request.url === '/lines') response.write(part.toString().toUpperCase())
    }
  } catch {
    return // the client has left
  }
  response.end(request.url === '/lines' ? '' : hash.digest('hex'))
}
`,
    }
    const module = kind === 'node' ? './pace.mjs' : kind === 'asgi' ? 'pace_asgi:application' : 'pace:application'
    const python = kind === 'gevent' ? `python ${PYTHON};` : ''
    const server = await serve(t, {
      files,
      conf: `http { app pace { directory %%DIR%%; module ${module}; kind ${kind}; workers 1; ${python}
          environment PYTHONDONTWRITEBYTECODE=1; }
        server { listen 127.0.0.1:%%PORT_0%%; client_max_body_size 100m; location / {
          app_pass pace; app_request_buffering off; } } }`,
    })
    // Until the first worker is there a request to Node waits with its body.
    await eventually(async () => (await get(server.port, '/not')).text === 'not')
    const client = await raw(t, server.port)
    await client.send('POST /lines HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n')
    assert.match(await client.until('FIRST\n'), /none\|/)
    await client.send('7\r\nsecond\n\r\n')
    await client.until('SECOND\n')
    await client.send('0\r\n\r\n')
    await eventually(() => client.received.includes('0\r\n\r\n'))
    const body = randomBytes(5_000_000)
    const sum = await request({ address: server.port, method: 'POST', path: '/sum', body })
    assert.equal(sum.text, `5000000|${createHash('sha256').update(body).digest('hex')}`)
    // Who does not read it is answered, and the next request is served.
    const reader = await raw(t, server.port)
    await reader.send('POST /not HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nonly this')
    assert.equal((await reader.response()).text, 'not')
    reader.destroy()
    // Who leaves in the middle does not hold the worker.
    const leaver = await raw(t, server.port)
    await leaver.send('POST /lines HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nonly this\n')
    await leaver.until('ONLY THIS')
    leaver.destroy()
    assert.equal((await get(server.port, '/not')).text, 'not')
  })
}
