// What we ask of other servers ourselves: addresses out of certificates and answers are not to be trusted too far.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { fetchOnce, parseUrl } from '../../src/http/fetch.ts'
import { atEnd } from '../helpers/index.ts'

test('a URL is a host, a port and a path, and no more than one line', () => {
  assert.deepEqual(parseUrl('http://ocsp.example/a?b#c'), null)
  assert.deepEqual(parseUrl('http://ocsp.example/a?b'), { secure: false, host: 'ocsp.example', port: 80, path: '/a?b' })
  assert.deepEqual(parseUrl('HTTPS://[::1]:8443'), { secure: true, host: '[::1]', port: 8443, path: '/' })
  for (const text of [
    'http://a/\r\nX: y',
    'http://a\r\nX: y/',
    'http://a b/',
    'http://a/\0',
    'http://a/ HTTP/1.0',
    'ftp://a/',
  ]) {
    assert.equal(parseUrl(text), null, JSON.stringify(text))
  }
})

test('an answer that never ends is given up, be it long or in pieces', async t => {
  const ask = async (pieces: () => Iterable<string>): Promise<string> => {
    const server = net.createServer(socket => {
      socket.on('error', () => {})
      socket.setNoDelay(true)
      socket.once('data', () => {
        const each = pieces()[Symbol.iterator]()
        const next = (): void => {
          const { value, done } = each.next()
          if (done !== true && !socket.destroyed) socket.write(value, () => setImmediate(next))
        }
        next()
      })
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    atEnd(t, () => void server.close())
    const { port } = server.address() as net.AddressInfo
    const target = { host: '127.0.0.1', port, tls: null, verifies: false, resolver: null, timeoutMs: 60_000 }
    const { status, body } = await fetchOnce(target, Buffer.from('GET / HTTP/1.0\r\n\r\n'))
    return `${status} ${body.toString()}`
  }
  function* endless(piece: string): Iterable<string> {
    yield 'HTTP/1.1 200 OK\r\n\r\n'
    for (;;) yield piece
  }
  assert.equal(await ask(() => 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine'.split('')), '200 fine')
  await assert.rejects(
    ask(() => endless('x'.repeat(65536))),
    /the answer is too large/,
  )
  await assert.rejects(
    ask(() => endless('x')),
    /the answer (?:comes in too many pieces|is too large)/,
  )
})
