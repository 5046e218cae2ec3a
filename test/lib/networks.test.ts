import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import {
  addressBytes,
  canonicalAddress,
  formatIpv6,
  Network,
  parseAddress,
  parseIpv4,
  parseIpv6,
  parseNetwork,
  reverseName,
} from '../../src/lib/networks.ts'
import { Random, seed } from '../codec/h1/feeding.ts'

const start = seed()

test('addresses: what is one and what is not', () => {
  assert.equal(parseIpv4('127.0.0.1'), 0x7f000001)
  assert.equal(parseIpv4('255.255.255.255'), 0xffffffff)
  for (const text of ['', '1.2.3', '1.2.3.4.5', '1.2.3.256', '1..2.3', '1.2.3.', 'a.b.c.d', '1.2.3.4 ']) {
    assert.equal(parseIpv4(text), -1, text)
  }
  assert.equal(addressBytes('::1'), `${'\0'.repeat(15)}\x01`)
  for (const text of [
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '::1.2.3',
    '1:2:3:4:5:6:7::8',
  ]) {
    assert.equal(parseIpv6(text), null, text)
  }
  assert.equal(parseAddress('::ffff:127.0.0.1'), 0x7f000001)
})

test('addresses are printed as the kernel prints them', () => {
  for (const [text, canonical] of [
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
    ['::FFFF:1.2.3.4', '::ffff:1.2.3.4'],
    ['010.0.0.1', '10.0.0.1'],
  ] as const) {
    assert.equal(canonicalAddress(text), canonical)
  }
})

test(`fuzz: IPv6 is read exactly where Node reads it, and printing and reading are inverse (seed ${start})`, () => {
  const random = new Random(start)
  const alphabet = '0123456789abcdefABCDEF:::::..%g'
  for (let n = 0; n < 20000; n++) {
    let text = ''
    if (n % 2 === 0) for (let i = random.below(24); i >= 0; i--) text += alphabet[random.below(alphabet.length)]
    else {
      text = Array.from({ length: 8 }, () => (random.below(2) === 0 ? '0' : random.below(65536).toString(16))).join(':')
      const bytes = parseIpv6(text)!
      assert.equal(parseIpv6(formatIpv6(bytes)), bytes, `FUZZ_SEED=${start} ${text}`)
      if (random.below(2) === 0) text = text.replace(/(^|:)0(:0)*(:|$)/, '::')
    }
    const isV6 = net.isIPv6(text) && !text.includes('%')
    assert.equal(parseIpv6(text) !== null, isV6, `FUZZ_SEED=${start} "${text}"`)
  }
})

test('networks: bounds, membership and what is refused', () => {
  const network = parseNetwork('10.1.2.3/8')!
  assert.ok(network.hasLowBits)
  assert.ok(network.contains(parseAddress('10.255.255.255')!))
  assert.ok(!network.contains(parseAddress('11.0.0.0')!))
  assert.ok(!network.contains(parseAddress('::1')!))
  assert.ok(parseNetwork('0.0.0.0/0')!.contains(0xffffffff))
  assert.ok(parseNetwork('::/0')!.contains(parseIpv6('ffff::1')!))
  const v6 = parseNetwork('2001:db8:8000::/33')!
  assert.ok(!v6.hasLowBits)
  assert.ok(v6.contains(parseIpv6('2001:db8:ffff::')!))
  assert.ok(!v6.contains(parseIpv6('2001:db8:7fff::')!))
  assert.equal(new Network(parseIpv6('::1')!, 128).last, parseIpv6('::1'))
  for (const text of ['', '/8', '1.2.3.4/33', '1.2.3.4/', '::/129', '1.2.3.4/-1', '1.2.3/8'])
    assert.equal(parseNetwork(text), null)
})

test('the name that DNS knows an address by', () => {
  assert.equal(reverseName('10.2.3.4'), '4.3.2.10.in-addr.arpa')
  assert.equal(reverseName('::ffff:10.2.3.4'), '4.3.2.10.in-addr.arpa')
  assert.equal(reverseName('2001:db8::f'), `f.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`)
  assert.equal(reverseName('example'), '')
})
