// The field Forwarded (RFC 7239): its grammar, and that nothing of a broken one is believed.

import assert from 'node:assert/strict'
import test from 'node:test'
import { parseForwarded } from '../../../src/http/access/forwarded-header.ts'
import { Random, seed } from '../../codec/h1/feeding.ts'

test('elements, pairs, quotes and addresses are read as the RFC has them', () => {
  assert.deepEqual(parseForwarded('for=192.0.2.60;proto=http;by=203.0.113.43'), [
    { address: '192.0.2.60', port: 0, proto: 'http', host: '' },
  ])
  assert.deepEqual(parseForwarded('For="[2001:db8:cafe::17]:4711" , for=192.0.2.1;Host="a\\"b"'), [
    { address: '2001:db8:cafe::17', port: 4711, proto: '', host: '' },
    { address: '192.0.2.1', port: 0, proto: '', host: 'a"b' },
  ])
  assert.deepEqual(parseForwarded('for="192.0.2.43:47011"')?.[0]?.port, 47011)
  for (const hidden of ['for=_mdn', 'for=unknown', 'proto=https', 'for="300.1.1.1"']) {
    assert.equal(parseForwarded(hidden)?.[0]?.address, '', hidden)
  }
})

test('what does not follow the grammar is nothing', () => {
  for (const text of [
    'for',
    'for=a b',
    'for="a',
    'for=1.2.3.4,',
    'for=1.2.3.4;',
    ',',
    'for=1;for=2',
    '=a',
    'for=1.2.3.4 x',
  ]) {
    assert.equal(parseForwarded(text), null, text)
  }
  assert.deepEqual(parseForwarded(''), [])
})

test('any text is read or refused, in short time', t => {
  const start = seed()
  t.diagnostic(`FUZZ_SEED=${start}`)
  const random = new Random(start)
  const below = (n: number): number => random.below(n)
  const pieces = ['for', '=', '"', '\\', ';', ',', ' ', '1.2.3.4', '[::1]', ':', '80', 'proto', 'host', '_x', '\t', 'é']
  for (let i = 0; i < 50_000; i++) {
    const text = Array.from({ length: below(20) }, () => pieces[below(pieces.length)]!).join('')
    for (const element of parseForwarded(text) ?? []) assert.match(element.address, /^[0-9a-f.:]*$/)
  }
  // Were it to look back at each byte, it would be minutes.
  const begun = performance.now()
  parseForwarded('for="'.repeat(20_000))
  parseForwarded(`for="${'\\'.repeat(50_000)}`)
  assert.ok(performance.now() - begun < 10_000)
})
