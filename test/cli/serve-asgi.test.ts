// ASGI applications behind `portico serve`: the extensions of the specification, what Gunicorn's worker forgives, and how long an
// application runs on when its client has left.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, needs, raw, serveApp } from '../helpers/index.ts'
import type { Scope, Server } from '../helpers/index.ts'
import { env } from './serve-command.ts'

const APP = `import asyncio, os

noted = []

async def app(scope, receive, send):
    if scope['type'] != 'http':
        raise ValueError
    await globals()[scope['path'].strip('/')](scope, receive, send)

async def begin(send, *headers, **more):
    await send({'type': 'http.response.start', 'status': 200, 'headers': headers, **more})

async def end(send, body=b'the end'):
    await send({'type': 'http.response.body', 'body': body})

async def hints(scope, receive, send):
    own = {'type': 'http.response.informational'}
    await send({**own, 'status': 103, 'headers': [(b'link', b'</a>'), ('x-text', 'b'), (b'connection', b'close')]})
    await send({**own, 'status': 102})
    await send({**own, 'status': 150})
    await begin(send)
    await send({'type': 'http.response.early_hint', 'links': [b'</c>', b'</d>']})
    await end(send)
    await send({**own, 'status': 103, 'headers': [(b'link', b'</late>')]})

async def broken_hints(scope, receive, send):
    await send({'type': 'http.response.informational', 'status': 103, 'headers': [(b'link', b'a\\r\\nb: c')]})

async def text(scope, receive, send):
    await begin(send, ('X-Text', 'a'), (b'x-bytes', 'b'), (b'content-length', b' 7 '))
    await end(send)

async def file(scope, receive, send):
    name = scope['query_string'].decode()
    path = os.path.join(os.path.dirname(__file__), name)
    await begin(send, *([(b'content-length', b'%d' % os.path.getsize(path))] if scope['method'] == 'HEAD' else []))
    await send({'type': 'http.response.pathsend', 'path': path})
    os.unlink(path) if name.startswith('gone') else None
    noted.append(name)

async def twice(scope, receive, send):
    await begin(send)
    await send({'type': 'http.response.body', 'body': b'x', 'more_body': True})
    await send({'type': 'http.response.pathsend', 'path': __file__})

async def trailers(scope, receive, send):
    await begin(send, (b'trailer', b'x-sum'), trailers=True)
    await send({'type': 'http.response.body', 'body': b'the ', 'more_body': True})
    await end(send)
    await send({'type': 'http.response.trailers', 'headers': [(b'x-sum', b'12')], 'more_trailers': True})
    await send({'type': 'http.response.trailers', 'headers': [(b'x-more', b'a'), (b'content-length', b'1')]})
    noted.append('trailed')

async def no_trailers(scope, receive, send):
    await begin(send, trailers=True)
    await end(send)

async def lasts(scope, receive, send):
    noted.append('begun')
    await receive()
    try:
        noted.append((await receive())['type'])
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        noted.append('cancelled')
        raise

async def tell(scope, receive, send):
    await begin(send)
    await end(send, ' '.join(noted).encode())
`

const files = { 'ours.py': APP, 'small.txt': 'small', 'big.txt': 'z'.repeat(300_000), 'gone.txt': 'g'.repeat(200_000) }

async function ask(t: Scope, server: Server, path: string, fields = '', method = 'GET'): Promise<string> {
  const client = await raw(t, server.port)
  await client.send(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${fields}Connection: close\r\n\r\n`)
  return client.closed()
}

function serveOurs(t: Scope, ...args: string[]): Promise<Server> {
  return serveApp(t, ['-k', 'asgi', ...args, 'ours:app'], { files, env })
}

test('serve: an ASGI application sends hints ahead of its response, as Gunicorn and the specification have them', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveOurs(t)
  const text = await ask(t, server, '/hints')
  assert.ok(
    text.startsWith(
      'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nx-text: b\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n' +
        'HTTP/1.1 103 Early Hints\r\nlink: </c>\r\nlink: </d>\r\n\r\nHTTP/1.1 200 OK\r\n',
    ),
    text,
  )
  assert.match(text, /\r\n\r\nthe end$/)
  assert.match(await ask(t, server, '/broken_hints'), /^HTTP\/1\.1 500 /)
})

test('serve: names and values of an ASGI response may be str, as with Gunicorn', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveOurs(t)
  const text = await ask(t, server, '/text')
  assert.match(text, /^HTTP\/1\.1 200 [^]*Content-Length: 7\r\n[^]*X-Text: a\r\nx-bytes: b\r\n\r\nthe end$/)
})

test('serve: http.response.pathsend names a file, which may be deleted when send() returns', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveOurs(t)
  assert.match(await ask(t, server, '/file?small.txt'), /Content-Length: 5\r\n[^]*\r\n\r\nsmall$/)
  assert.match(await ask(t, server, '/file?big.txt'), /Content-Length: 300000\r\n[^]*\r\n\r\nz{300000}$/)
  assert.match(await ask(t, server, '/file?big.txt', '', 'HEAD'), /Content-Length: 300000\r\n[^]*\r\n\r\n$/)
  assert.match(await ask(t, server, '/file?gone.txt'), /\r\n\r\ng{200000}$/)
  assert.match(await ask(t, server, '/file?missing.txt'), /^HTTP\/1\.1 500 /)
  // It is the whole of the body, or nothing.
  assert.match(await ask(t, server, '/twice'), /^HTTP\/1\.1 200 [^]*\r\n1\r\nx\r\n$/)
})

test('serve: fields behind the body of an ASGI response reach clients that take them', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveOurs(t)
  const text = await ask(t, server, '/trailers', 'TE: trailers\r\n')
  assert.match(text, /\r\ntrailer: x-sum\r\n[^]*\r\n0\r\nx-sum: 12\r\nx-more: a\r\n\r\n$/)
  const plain = await ask(t, server, '/trailers')
  assert.match(plain, /the [^]*the end/)
  assert.doesNotMatch(plain, /x-sum/)
  assert.equal((await ask(t, server, '/tell')).match(/trailed/g)?.length, 2)
  // Announced and not sent: the client sees that something is missing.
  assert.doesNotMatch(await ask(t, server, '/no_trailers', 'TE: trailers\r\n'), /\r\n0\r\n/)
})

test('serve: an application runs on for asgi_disconnect_grace_period when its client has left', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveOurs(t, '--asgi-disconnect-grace-period', '1')
  const client = await raw(t, server.port)
  await client.send('GET /lasts HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(async () => (await ask(t, server, '/tell')).endsWith('begun'))
  client.destroy()
  await eventually(async () => (await ask(t, server, '/tell')).endsWith('begun http.disconnect cancelled'))
})
