import assert from 'node:assert/strict'
import test from 'node:test'
import type { Site } from '../../../src/config/directive.ts'
import { addressText } from '../../../src/http/core/listen.ts'
import { parseUdpListen } from '../../../src/stream/udp/declare.ts'
import { socketKeys } from '../../../src/stream/udp/listener.ts'

const at = {
  fail(problem: string): never {
    throw new Error(problem)
  },
  warn() {},
  prefixPath: (path: string) => path,
} as unknown as Site

test('what only connections can have is refused in nginx’s words', () => {
  for (const [word, name] of [
    ['ssl', 'ssl'],
    ['backlog=5', 'backlog'],
    ['fastopen=5', 'fastopen'],
    ['deferred', 'deferred'],
    ['multipath', 'multipath'],
    ['so_keepalive=on', 'so_keepalive'],
    ['proxy_protocol', 'proxy_protocol'],
  ] as const) {
    assert.throws(() => parseUdpListen(['127.0.0.1:53', 'udp', word], at), {
      message: `"listen" directive "${name}" parameter is incompatible with "udp"`,
    })
  }
  assert.throws(() => parseUdpListen(['53', 'udp', 'ssl', 'backlog=1'], at), /"backlog" parameter is incompatible/)
  assert.throws(() => parseUdpListen(['53', 'udp', 'nothing'], at), { message: 'invalid parameter "nothing"' })
  assert.throws(() => parseUdpListen(['unix:/a', 'udp'], at), /not supported for unix domain sockets/)
})

test('what else goes with a socket is read as for connections', () => {
  const [address] = parseUdpListen(
    ['[::]:53', 'udp', 'reuseport', 'rcvbuf=1m', 'sndbuf=64k', 'bind', 'ipv6only=off'],
    at,
  )
  const { key, host, port, udp, reuseport, ipv6only, options } = address!
  assert.deepEqual(
    { key, host, port, udp, reuseport, ipv6only },
    {
      key: '[::]:53/udp',
      host: '::',
      port: 53,
      udp: true,
      reuseport: true,
      ipv6only: false,
    },
  )
  assert.deepEqual(
    options.map(({ text, value }) => `${text} ${value}`),
    ['SO_RCVBUF 1048576', 'SO_SNDBUF 65536'],
  )
  assert.equal(addressText(key), '[::]:53')
  assert.equal(addressText('unix:/run/udp'), 'unix:/run/udp')
  assert.equal(parseUdpListen(['127.0.0.1:53-55', 'udp'], at).length, 3)
})

test('an address is one socket, or one for each thread', () => {
  assert.deepEqual(socketKeys('a/udp', false, 3), ['a/udp'])
  assert.deepEqual(socketKeys('a/udp', true, 3), ['a/udp', 'a/udp#1', 'a/udp#2'])
})
