// What WSGI applications may do with a response beyond PEP 3333, because Gunicorn lets them: hints, odd files, odd values.

import assert from 'node:assert/strict'
import test from 'node:test'
import { needs, raw, request, serveApp } from '../helpers/index.ts'
import { env } from './serve-command.ts'

const HINTING = `def application(environ, start_response):
    hint = environ['wsgi.early_hints']
    said = []
    for fields in ([('Link', '</a.css>; rel=preload')], [(b'Link', b'</b.css>'), ('Connection', 'close')], [],
                   [('A B', 'x')], [('A', 'x' + chr(10) + 'y')], [('A', 5)], 'ab'):
        try:
            said.append(repr(hint(fields)))
        except ValueError:
            said.append('refused')
    write = start_response('200 OK', [('Content-Type', 'text/plain')])
    write(' '.join(said).encode())
    hint([('Link', '</late.css>')])
    return [b'.']
`

const ODD_FILES = `import io, os

class Parts(io.RawIOBase):
    parts = [b'raw', b'er']
    def readable(self):
        return True
    def readinto(self, buffer):
        part = self.parts.pop(0) if self.parts else b''
        buffer[:len(part)] = part
        return len(part)

def pipe():
    reader, writer = os.pipe()
    os.write(writer, b'piped')
    os.close(writer)
    return os.fdopen(reader, 'rb')

FILES = {'/buffered': lambda: io.BufferedReader(Parts()), '/proc': lambda: open('/proc/self/status', 'rb'), '/pipe': pipe}

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return environ['wsgi.file_wrapper'](FILES[environ['PATH_INFO']]())
`

const ODD_VALUES = `import io

def application(environ, start_response):
    errors = environ['wsgi.errors']
    said = [errors.isatty(), errors.closed, errors.writable(), errors.readable(), errors.close()]
    try:
        errors.fileno()
    except io.UnsupportedOperation:
        said.append('none')
    start_response('200 OK', [('Content-Type', ' text/plain'), ('X-A', chr(9) + ' b  c' + chr(9)), ('X-B', '  ')])
    return [repr(said).encode()]
`

for (const kind of [[], ['-k', 'gthread', '--threads', '2'], ['-k', 'gevent']]) {
  test(`serve: an application sends hints ahead of its response (${kind[1] ?? 'sync'})`, async t => {
    if (!needs(t, 'python3') || (kind[1] === 'gevent' && !needs(t, 'gevent'))) return
    const server = await serveApp(t, [...kind, 'hinting'], { files: { 'hinting.py': HINTING }, env })
    const client = await raw(t, server.port)
    await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const text = await client.closed()
    assert.ok(
      text.startsWith(
        'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n' +
          'HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\nHTTP/1.1 200 OK\r\n',
      ),
      text,
    )
    assert.match(text, /None None None refused refused refused refused/)
    assert.doesNotMatch(text, /late/)
    // One of HTTP/1.0 would take the first for the response.
    const old = await raw(t, server.port)
    await old.send('GET / HTTP/1.0\r\n\r\n')
    assert.match(await old.closed(), /^HTTP\/1\.1 200 OK\r\n[^]*None None None refused/)
  })
}

test('serve: what is no ordinary file goes out through wsgi.file_wrapper all the same', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['odd'], { files: { 'odd.py': ODD_FILES }, env })
  const body = async (path: string) => (await request({ address: server.port, path })).text
  assert.equal(await body('/buffered'), 'rawer')
  assert.equal(await body('/pipe'), 'piped')
  if (process.platform === 'linux') assert.match(await body('/proc'), /^Name:/)
})

test('serve: blanks around a value are dropped, and wsgi.errors looks like a file', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['odd'], { files: { 'odd.py': ODD_VALUES }, env })
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const text = await client.closed()
  for (const line of ['Content-Type: text/plain', 'X-A: b  c', 'X-B: '])
    assert.ok(text.includes(`\r\n${line}\r\n`), text)
  assert.match(text, /\[False, False, True, False, None, 'none'\]/)
})
