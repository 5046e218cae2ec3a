import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32c } from '../../src/lib/crc32c.ts'
import {
  asked,
  BROKEN,
  header,
  HEADER_MAX,
  INCOMPLETE,
  proxyHeader,
  proxyLine,
  ProxyProtocol,
  readProxyProtocol,
  tlsTlv,
  tlv as namedTlv,
  tlvNamed,
} from '../../src/codec/proxy-protocol.ts'
import { Random, seed } from './h1/feeding.ts'

const start = seed()

function read(bytes: Buffer): number {
  return readProxyProtocol(bytes, 0, bytes.length)
}
const line = (text: string): Buffer => Buffer.from(text, 'latin1')

function tlv(type: number, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value as string, 'latin1')
  const head = Buffer.from([type, bytes.length >> 8, bytes.length & 255])
  return Buffer.concat([head, bytes])
}

function binary(family: number, addresses: Buffer, more: Buffer = Buffer.alloc(0), command = 0x21): Buffer {
  const length = addresses.length + more.length
  const head = Buffer.from([command, family, length >> 8, length & 255])
  return Buffer.concat([line('\r\n\r\n\0\r\nQUIT\n'), head, addresses, more])
}

const v4 = Buffer.from([192, 0, 2, 1, 192, 0, 2, 2, 0, 123, 0x16, 0x2e])

test('version 1: addresses and ports, and what follows is left', () => {
  assert.equal(read(line('PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\nGET')), 41)
  const { source, sourcePort, destination, destinationPort } = header.value!
  assert.deepEqual([source, sourcePort, destination, destinationPort], ['192.0.2.1', 123, '192.0.2.2', 5678])
  read(line('PROXY TCP6 2001:Db8::1 ::2 1 2\r\n'))
  assert.equal(header.value?.source, '2001:Db8::1')
})

test('version 1: UNKNOWN tells nothing', () => {
  assert.equal(read(line('PROXY UNKNOWN\r\n')), 15)
  assert.equal(header.value, null)
  assert.equal(read(line('PROXY UNKNOWN 1 2 3 4\r\n')), 23)
})

test('version 1: what is broken is told up to its line end', () => {
  for (const text of [
    'GET / HTTP/1.1\r\n',
    'PROXY TCP4 x y 1 2\r\n',
    'PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n',
    'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n',
    `PROXY ${'x'.repeat(120)}`,
  ]) {
    assert.equal(read(line(text)), BROKEN, text)
  }
  read(line('GET / HTTP/1.1\r\n'))
  assert.equal(header.error, 'broken header: "GET / HTTP/1.1"')
})

test('version 2: addresses of both families, and connections without any', () => {
  const bytes = binary(0x11, v4)
  assert.equal(read(Buffer.concat([bytes, line('GET')])), bytes.length)
  assert.deepEqual(
    [header.value?.source, header.value?.sourcePort, header.value?.destinationPort],
    ['192.0.2.1', 123, 5678],
  )
  const v6 = Buffer.alloc(36)
  v6[15] = 1
  v6[31] = 2
  read(binary(0x21, v6))
  assert.deepEqual([header.value?.source, header.value?.destination], ['::1', '::2'])
  const local = binary(0x00, Buffer.alloc(0), Buffer.alloc(0), 0x20)
  assert.equal(read(local), local.length)
  assert.equal(header.value, null)
})

test('version 2: values by name, also those inside the ssl value', () => {
  const ssl = Buffer.concat([Buffer.from([1, 0, 0, 0, 255]), tlv(0x22, 'example.com')])
  read(binary(0x11, v4, Buffer.concat([tlv(1, 'h2'), tlv(0xae, '12345'), tlv(0x20, ssl)])))
  const { tlvs } = header.value!
  const value = (name: string): string | null => tlvNamed(name)(tlvs)
  assert.deepEqual(['alpn', '0x1', '0x00ae', 'ssl_verify', 'ssl_cn', 'ssl_0x22'].map(value), [
    'h2',
    'h2',
    '12345',
    '255',
    'example.com',
    'example.com',
  ])
  assert.deepEqual([value('netns'), value('ssl_version'), asked.error], [null, null, ''])
})

test('version 2: what is wrong with a value or with its name is told when it is asked for', () => {
  const problem = (name: string, tlvs: string): string => {
    assert.equal(tlvNamed(name)(tlvs), null)
    return asked.error
  }
  assert.equal(problem('nothing', ''), 'unknown PROXY protocol TLV "nothing"')
  assert.equal(problem('0x', ''), 'invalid PROXY protocol TLV "0x"')
  assert.equal(problem('0x2g', ''), 'invalid PROXY protocol TLV "0x2g"')
  assert.equal(problem('alpn', '\x05\0'), 'broken PROXY protocol TLV')
  assert.equal(problem('alpn', '\x05\0\x02x'), 'broken PROXY protocol TLV')
  // Names within the ssl value are looked at where there is one.
  assert.equal(problem('ssl_nothing', ''), '')
  assert.equal(problem('ssl_nothing', '\x20\0\x05\0\0\0\0\0'), 'unknown PROXY protocol TLV "ssl_nothing"')
  assert.equal(problem('ssl_cn', '\x20\0\x06\0\0\0\0\0\x22'), 'broken PROXY protocol TLV')
})

test('version 1: of a line that tells no addresses nothing matters but its end', () => {
  for (const rest of ['', ' x', `x${'y'.repeat(2000)}`, ' a\nb\rc']) {
    const bytes = line(`PROXY UNKNOWN${rest}\r\nrest`)
    assert.equal(read(bytes), bytes.length - 4)
    assert.equal(header.value, null)
  }
  assert.equal(read(line(`PROXY UNKNOWN${'x'.repeat(HEADER_MAX)}\r\n`)), BROKEN)
})

test('version 2: another version, too long, too short', () => {
  assert.equal(read(binary(0x11, v4, Buffer.alloc(0), 0x31)), BROKEN)
  assert.equal(read(binary(0x11, v4, Buffer.alloc(HEADER_MAX))), BROKEN)
  assert.equal(header.error, 'header is too large')
  assert.equal(read(binary(0x11, v4.subarray(0, 8))), BROKEN)
})

test(`fuzz: every input is incomplete, broken or used as far as its header goes, however it comes (seed ${start})`, () => {
  const seeds = [
    line('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nrest'),
    line('PROXY UNKNOWN\r\nrest'),
    binary(0x11, v4, tlv(1, 'x')),
    binary(0x21, Buffer.alloc(36)),
  ]
  for (let n = 0; n < 20000; n++) {
    const random = new Random(start + n)
    const bytes = Buffer.from(seeds[random.below(seeds.length)]!)
    for (let i = random.below(4); i > 0; i--) bytes[random.below(bytes.length)] = random.below(256)
    const whole = read(bytes)
    const value = header.value
    let piecewise = INCOMPLETE
    for (let end = 0; end <= bytes.length && piecewise === INCOMPLETE; end++)
      piecewise = readProxyProtocol(bytes, 0, end)
    assert.equal(piecewise, whole, `FUZZ_SEED=${start + n} ${JSON.stringify(bytes.toString('latin1'))}`)
    assert.deepEqual(header.value, value)
    assert.ok(whole >= BROKEN && whole <= bytes.length)
    if (value !== null) for (const name of ['alpn', 'ssl_cn', 'ssl_verify']) tlvNamed(name)(value.tlvs)
  }
})

test('what is written is read again', () => {
  const ssl = tlsTlv({
    version: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    commonName: 'me',
    signature: 'RSA-SHA256',
    key: 'RSA2048',
    certificate: 'connection',
    verify: 18,
  })
  const tlvs = namedTlv('alpn', 'h2') + namedTlv('authority', 'one.test') + ssl
  for (const [source, destination] of [
    ['192.0.2.1', '192.0.2.2'],
    ['2001:db8::1', '::1'],
  ] as const) {
    const told = new ProxyProtocol(source, 40000, destination, 443, tlvs)
    const binary = Buffer.from(proxyHeader(told), 'latin1')
    assert.equal(readProxyProtocol(binary, 0, binary.length), binary.length)
    const { value } = header
    assert.ok(value !== null)
    assert.deepEqual(value, new ProxyProtocol(source, 40000, destination, 443, value.tlvs))
    assert.equal(value.tlvs.slice(0, tlvs.length), tlvs)
    const said = ['ssl_version', 'ssl_cn', 'ssl_cipher', 'ssl_sig_alg', 'ssl_key_alg', 'ssl_verify']
    assert.deepEqual(
      said.map(name => tlvNamed(name)(value.tlvs)),
      ['TLSv1.3', 'me', 'TLS_AES_128_GCM_SHA256', 'RSA-SHA256', 'RSA2048', '18'],
    )
    // The checksum is the last value, and that of the whole header with zeros in its place.
    const sum = tlvNamed('0x03')(value.tlvs)!
    const text = binary.toString('latin1')
    assert.equal(Buffer.from(sum, 'latin1').readUInt32BE(), crc32c(`${text.slice(0, -4)}\0\0\0\0`))
    const line = Buffer.from(proxyLine(told), 'latin1')
    assert.equal(readProxyProtocol(line, 0, line.length), line.length)
    assert.deepEqual(header.value, new ProxyProtocol(source, 40000, destination, 443, ''))
  }
  const mixed = Buffer.from(proxyHeader(new ProxyProtocol('192.0.2.1', 1, '::1', 2, '')), 'latin1')
  assert.equal(readProxyProtocol(mixed, 0, mixed.length), mixed.length)
  assert.deepEqual([header.value!.source, header.value!.destination], ['::ffff:192.0.2.1', '::1'])
  assert.equal(proxyLine(new ProxyProtocol('::1', 1, '192.0.2.1', 2, '')), 'PROXY TCP6 ::1 192.0.2.1 1 2\r\n')
  const mapped = Buffer.from(proxyHeader(new ProxyProtocol('::ffff:192.0.2.1', 1, '::ffff:192.0.2.2', 2, '')), 'latin1')
  assert.equal(readProxyProtocol(mapped, 0, mapped.length), mapped.length)
  assert.deepEqual([header.value!.source, header.value!.destination], ['192.0.2.1', '192.0.2.2'])
  const unknown = new ProxyProtocol('unix:', 0, 'unix:', 0, '')
  assert.equal(proxyLine(unknown), 'PROXY UNKNOWN\r\n')
  const local = Buffer.from(proxyHeader(unknown), 'latin1')
  assert.equal(readProxyProtocol(local, 0, local.length), local.length)
  assert.equal(header.value, null)
})
