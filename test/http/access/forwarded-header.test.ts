// The field Forwarded (RFC 7239): its grammar, and that what is broken in it takes nothing away from what proxies have said.

import assert from 'node:assert/strict'
import test from 'node:test'
import { TrustedProxies } from '../../../src/http/access/forwarded-address.ts'
import { type ForwardedElement, lastForwarded, readForwarded } from '../../../src/http/access/forwarded-header.ts'
import type { HttpRequest } from '../../../src/http/request.ts'
import { parseNetwork } from '../../../src/lib/networks.ts'
import { Random, seed } from '../../codec/h1/feeding.ts'

function elements(text: string): readonly ForwardedElement[] {
  const field = readForwarded(text)
  assert.ok(field.isWhole, text)
  return field.elements
}

test('elements, pairs, quotes and addresses are read as the RFC has them', () => {
  assert.deepEqual(elements('for=192.0.2.60;proto=http;by=203.0.113.43'), [
    { address: '192.0.2.60', port: 0, proto: 'http', host: '' },
  ])
  assert.deepEqual(elements('For="[2001:db8:cafe::17]:4711" , for=192.0.2.1;Host="a\\"b"'), [
    { address: '2001:db8:cafe::17', port: 4711, proto: '', host: '' },
    { address: '192.0.2.1', port: 0, proto: '', host: 'a"b' },
  ])
  assert.equal(elements('for="192.0.2.43:47011"')[0]!.port, 47011)
  // A port may be hidden where the address is not.
  assert.deepEqual(elements('for="192.0.2.43:_x-1"'), [{ address: '192.0.2.43', port: 0, proto: '', host: '' }])
  for (const hidden of [
    'for=_mdn',
    'for="_mdn:80"',
    'for=unknown',
    'proto=https',
    'for="300.1.1.1"',
    'for="1.2.3.4:_"',
  ]) {
    assert.equal(elements(hidden)[0]!.address, '', hidden)
  }
  // Elements and pairs may be empty.
  for (const text of ['for=1.2.3.4,', ', ,for=1.2.3.4', 'for=1.2.3.4;', ';;for=1.2.3.4 ;; by=_x', 'for="1.2.3.4", ,']) {
    assert.deepEqual(
      elements(text).map(one => one.address),
      ['1.2.3.4'],
      text,
    )
  }
  for (const text of ['', ' ', ',', ';', ' ,;, ']) assert.deepEqual(elements(text), [], text)
})

test('what does not follow the grammar is nothing', () => {
  for (const text of [
    'for',
    'for=a b',
    'for="a',
    'for=1;for=2',
    '=a',
    'for=1.2.3.4 x',
    'for = 1.2.3.4',
    'for=1.2.3.4;x="',
  ]) {
    assert.deepEqual(readForwarded(text), { elements: [], isWhole: false }, text)
  }
})

test('what proxies have said counts, whatever a client has written in front of it', () => {
  const proxies = new TrustedProxies([parseNetwork('10.0.0.0/8')!], false)
  const client = (...fields: string[]): string | undefined => {
    const head = { names: fields.map(() => 'forwarded'), values: fields, count: fields.length }
    return lastForwarded({ head } as unknown as HttpRequest, proxies, false)?.address
  }
  assert.equal(client('for=6.6.6.6, for=1.2.3.4, for=10.0.0.1'), '1.2.3.4')
  assert.equal(client('for=6.6.6.6', 'for=1.2.3.4', 'for=10.0.0.1, for=10.0.0.2'), '1.2.3.4')
  for (const own of ['x', 'for="6.6.6.6', 'for=6.6.6.6;x="', ',=,"', 'for=1;for=2', '"for=6.6.6.6, for=10.0.0.9"']) {
    for (const said of [
      'for=1.2.3.4',
      'for="1.2.3.4:80"',
      'for=1.2.3.4;host="a,for=6.6.6.6"',
      'for=1.2.3.4, for="10.0.0.1"',
    ]) {
      assert.equal(client(`${own}, ${said}`), '1.2.3.4', `${own}, ${said}`)
      assert.equal(client(own, said), '1.2.3.4', `${own} and ${said}`)
    }
    assert.equal(client(`${own}, for=10.0.0.1`), '10.0.0.1')
    assert.equal(client(own), undefined)
  }
  assert.equal(client('for="6.6.6.6', 'for=1.2.3.4"'), undefined)
})

test('any text is read or refused, in short time', t => {
  const start = seed()
  t.diagnostic(`FUZZ_SEED=${start}`)
  const random = new Random(start)
  const below = (n: number): number => random.below(n)
  const pieces = ['for', '=', '"', '\\', ';', ',', ' ', '1.2.3.4', '[::1]', ':', '80', 'proto', 'host', '_x', '\t', 'é']
  for (let i = 0; i < 50_000; i++) {
    const text = Array.from({ length: below(20) }, () => pieces[below(pieces.length)]!).join('')
    for (const element of readForwarded(text).elements) assert.match(element.address, /^[0-9a-f.:]*$/)
  }
  // Were it to look back at each byte, it would be minutes.
  const begun = performance.now()
  readForwarded('for="'.repeat(20_000))
  readForwarded('for=",'.repeat(20_000))
  readForwarded(`for="${'\\'.repeat(50_000)}`)
  assert.ok(performance.now() - begun < 10_000)
})
