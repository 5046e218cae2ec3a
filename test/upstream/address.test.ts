// Addresses as configurations write them, and nginx's words for those that are none.

import assert from 'node:assert/strict'
import test from 'node:test'
import { parseUpstreamUrl } from '../../src/upstream/address.ts'
import { resolveHost } from '../../src/upstream/resolve.ts'

test('hosts, ports, sockets and the URI behind them', () => {
  for (const [text, host, port, uri, name] of [
    ['example', 'example', 80, '', 'example:80'],
    ['example:8080/x?y', 'example', 8080, '/x?y', 'example:8080'],
    ['example?x:1', 'example', 80, '?x:1', 'example:80'],
    ['127.0.0.1/a:b', '127.0.0.1', 80, '/a:b', '127.0.0.1:80'],
    ['[::1]:81/', '[::1]', 81, '/', '[::1]:81'],
    ['[::1]', '[::1]', 80, '', '[::1]:80'],
    ['unix:/run/a.sock', '/run/a.sock', 0, '', 'unix:/run/a.sock'],
    ['unix:/run/a.sock:/x/', '/run/a.sock', 0, '/x/', 'unix:/run/a.sock'],
  ] as const) {
    const url = parseUpstreamUrl(text, 80, true)
    assert.ok(typeof url === 'object', text)
    assert.deepEqual([url.host, url.port, url.uri, url.text], [host, port, uri, name], text)
  }
})

test('what is no address is refused', () => {
  for (const [text, problem] of [
    ['', 'no host'],
    [':80', 'no host'],
    ['/x', 'no host'],
    ['a:', 'invalid port'],
    ['a:0', 'invalid port'],
    ['a:65536', 'invalid port'],
    ['a:1x', 'invalid port'],
    ['[::1', 'invalid host'],
    ['[::1]x', 'invalid host'],
    ['[]', 'no host'],
    ['[::zz]', 'invalid IPv6 address'],
    ['unix:', 'no path in the unix domain socket'],
    [`unix:/${'x'.repeat(107)}`, 'too long path in the unix domain socket'],
  ] as const) {
    assert.equal(parseUpstreamUrl(text, 80, true), problem, text)
  }
  assert.equal(parseUpstreamUrl('a/b', 80, false), 'invalid host')
})

test('any text is an address or refused', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  console.log(`FUZZ_SEED=${seed}`)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >> 8) % below
  }
  const pieces = ['unix:', '[', ']', ':', '/', '?', '::1', '127.0.0.1', 'a', '80', '\0', 'é', '-', '%']
  for (let i = 0; i < 20_000; i++) {
    const text = Array.from({ length: random(8) }, () => pieces[random(pieces.length)]).join('')
    const url = parseUpstreamUrl(text, 80, random(2) === 0)
    if (typeof url === 'string') assert.notEqual(url, '')
    else {
      assert.notEqual(url.host, '', text)
      assert.ok(url.unix || (url.port > 0 && url.port < 65536), text)
    }
  }
})

test('localhost is known, and a name that cannot be is not', () => {
  assert.ok(resolveHost('localhost')!.includes('127.0.0.1'))
  assert.equal(resolveHost('no-such-host.invalid'), null)
  assert.equal(resolveHost('--version'), null)
})
