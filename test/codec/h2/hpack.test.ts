import assert from 'node:assert/strict'
import test from 'node:test'
import { ByteWriter } from '../../../src/codec/h2/byte-writer.ts'
import { HpackEncoder, INDEXED, NEVER, PLAIN } from '../../../src/codec/h2/hpack-encoder.ts'
import {
  FieldList,
  HpackDecoder,
  NAME_INVALID,
  NAME_ODD,
  NAME_UNDERSCORE,
  PSEUDO,
  VALUE_INVALID,
} from '../../../src/codec/h2/hpack-decoder.ts'
import { huffmanDecode, huffmanEncode, huffmanLength } from '../../../src/codec/h2/huffman.ts'
import { random } from './random.ts'

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

/** `name: value` lines, or null for a block that is broken. */
function decode(decoder: HpackDecoder, block: Buffer, sizeMax = 65536): string[] | null {
  const list = new FieldList()
  list.sizeMax = sizeMax
  if (!decoder.decode(block, 0, block.length, list)) return null
  return Array.from({ length: list.count }, (_, i) => `${list.names[i]}: ${list.values[i]}`)
}

test('hpack: the requests of RFC 7541, C.3 and C.4, with and without Huffman coding', () => {
  const plain = new HpackDecoder(4096)
  const coded = new HpackDecoder(4096)
  const wanted = [
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
    [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
  ]
  const blocks = [
    ['828684410f7777772e6578616d706c652e636f6d', '828684418cf1e3c2e5f23a6ba0ab90f4ff'],
    ['828684be58086e6f2d6361636865', '828684be5886a8eb10649cbf'],
    ['828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565', '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf'],
  ]
  for (const [i, lines] of wanted.entries()) {
    assert.deepEqual(decode(plain, hex(blocks[i]![0]!)), lines)
    assert.deepEqual(decode(coded, hex(blocks[i]![1]!)), lines)
  }
  assert.equal(plain.table.size, 164)
  assert.equal(coded.table.size, 164)
})

test('hpack: a table of 256 bytes evicts as in RFC 7541, C.6', () => {
  const decoder = new HpackDecoder(256)
  assert.deepEqual(
    decode(
      decoder,
      hex(
        '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
      ),
    ),
    [
      ':status: 302',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'location: https://www.example.com',
    ],
  )
  assert.equal(decoder.table.size, 222)
  assert.deepEqual(decode(decoder, hex('4883640effc1c0bf'))?.[0], ':status: 307')
  assert.equal(decoder.table.size, 222)
  const third = decode(
    decoder,
    hex(
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ),
  )
  assert.equal(third?.[4], 'content-encoding: gzip')
  assert.equal(third?.[5], 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1')
  assert.equal(decoder.table.size, 215)
})

test('hpack: broken blocks are refused (RFC 7541, 2.3.3, 4.2, 5.2 and 6.1)', () => {
  for (const block of [
    '80', // index 0
    'be', // an index beyond the table
    'ff8001', // the same, in more bytes
    'ffffffffff7f', // an absurd number
    '82 20', // a size update behind a field
    '3f e2 1f', // a table larger than was offered
    '40 03 61', // a string that is cut off
    '40', // no string at all
    '00 85 f1e3c2e5f2 ', // the value is missing
    '00 81 ff 00', // padding of eight bits
    '00 81 00 00', // padding of zeros
    '00 84 ffffffff 00', // EOS
    '7f', // a number that is cut off
  ])
    assert.equal(decode(new HpackDecoder(4096), hex(block)), null, block)
})

test('hpack: size updates shrink the table and let it grow again', () => {
  const decoder = new HpackDecoder(4096)
  decode(decoder, hex('40 01 61 01 62'))
  assert.equal(decoder.table.count, 1)
  assert.deepEqual(decode(decoder, hex('20 3f e1 1f 82')), [':method: GET'])
  assert.equal(decoder.table.count, 0)
  assert.equal(decoder.table.capacity, 4096)
})

test('hpack: an entry larger than the table empties it', () => {
  const decoder = new HpackDecoder(64)
  decode(decoder, hex('40 01 61 01 62'))
  const value = 'x'.repeat(60)
  assert.deepEqual(decode(decoder, Buffer.from(`\x40\x01a\x3c${value}`, 'latin1')), [`a: ${value}`])
  assert.equal(decoder.table.count, 0)
})

test('hpack: what is odd about names and values is told', () => {
  const faultsOf = (name: string, value: string): number => {
    const list = new FieldList()
    const block = Buffer.from(
      `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
      'latin1',
    )
    assert.ok(new HpackDecoder(0).decode(block, 0, block.length, list))
    return list.faults[0]!
  }
  assert.equal(faultsOf('accept', '*/*'), 0)
  assert.equal(faultsOf('x_y', ''), NAME_UNDERSCORE)
  assert.equal(faultsOf('x!', ''), NAME_ODD)
  assert.equal(faultsOf('Accept', ''), NAME_INVALID)
  assert.equal(faultsOf('a b', ''), NAME_INVALID)
  assert.equal(faultsOf('', ''), NAME_INVALID)
  assert.equal(faultsOf(':path', '/'), PSEUDO)
  assert.equal(faultsOf(':', '/'), PSEUDO)
  assert.equal(faultsOf('a', 'b\r\nc'), VALUE_INVALID)
})

test('hpack: a bomb of references to one large entry is counted and dropped, and the tables stay in step', () => {
  const decoder = new HpackDecoder(4096)
  const value = 'x'.repeat(4000)
  const entry = Buffer.concat([hex('40 01 61 7f a1 1e'), Buffer.from(value)])
  const list = new FieldList()
  list.sizeMax = 32768
  const block = Buffer.concat([entry, Buffer.alloc(16000, 0xbe)])
  assert.ok(decoder.decode(block, 0, block.length, list))
  assert.ok(list.overflow)
  assert.ok(list.count < 10)
  assert.equal(list.size, 16001 * 4033)
  assert.deepEqual(decode(decoder, hex('be')), [`a: ${value}`])
})

test('huffman: every byte, and every pair of short and long codes, comes back', () => {
  const out = Buffer.alloc(4096)
  const back = Buffer.alloc(4096)
  for (let a = 0; a < 256; a++) {
    for (const b of [0, 32, 48, 97, 122, 200, 255, a]) {
      const text = String.fromCharCode(a, b, a, a, b)
      const end = huffmanEncode(text, out, 0)
      assert.equal(end, huffmanLength(text))
      assert.equal(back.toString('latin1', 0, huffmanDecode(out, 0, end, back)), text)
    }
  }
})

test('hpack: without a table a block depends on nothing before it', () => {
  const encoder = new HpackEncoder(0)
  const out = new ByteWriter(64)
  for (let i = 0; i < 2; i++) {
    encoder.begin(out)
    encoder.field(out, ':status', '200', INDEXED)
    encoder.field(out, 'x-a', 'b', INDEXED)
  }
  const half = out.length / 2
  assert.deepEqual(out.bytes.subarray(0, half), out.bytes.subarray(half, out.length))
  assert.equal(out.bytes[0], 0x88)
})

test('hpack: the encoder says so when the other side wants a smaller table', () => {
  const encoder = new HpackEncoder(4096)
  const decoder = new HpackDecoder(4096)
  const send = (): string[] | null => {
    const out = new ByteWriter(64)
    encoder.begin(out)
    encoder.field(out, 'x-a', 'b', INDEXED)
    encoder.field(out, 'authorization', 'secret', NEVER)
    return decode(decoder, out.bytes.subarray(0, out.length))
  }
  const lines = ['x-a: b', 'authorization: secret']
  assert.deepEqual(send(), lines)
  encoder.limit(0)
  encoder.limit(100)
  assert.deepEqual(send(), lines)
  assert.equal(decoder.table.capacity, 100)
  assert.equal(decoder.table.count, 1)
  assert.deepEqual(send(), lines)
})

test('hpack: what the encoder makes, the decoder reads, whatever the fields and table sizes (fuzz)', t => {
  const r = random(t)
  const names = [':path', 'accept', 'x-request-id', 'cookie', 'content-type', 'x-a', 'x-b']
  for (let round = 0; round < 60; round++) {
    const capacity = r.pick([0, 64, 200, 4096])
    const encoder = new HpackEncoder(capacity)
    const decoder = new HpackDecoder(4096)
    for (let block = 0; block < 20; block++) {
      if (r.chance(0.2)) encoder.limit(r.below(5000))
      const out = new ByteWriter(16)
      encoder.begin(out)
      const wanted: string[] = []
      for (let i = r.below(12); i > 0; i--) {
        const name = r.pick(names)
        const value = r.chance(0.5) ? `v${r.below(4)}` : r.text(r.below(200))
        encoder.field(out, name, value, r.pick([INDEXED, PLAIN, NEVER]))
        wanted.push(`${name}: ${value}`)
      }
      assert.deepEqual(decode(decoder, out.bytes.subarray(0, out.length)), wanted)
    }
  }
})

test('hpack: any bytes are a block or are refused (fuzz)', t => {
  const r = random(t)
  const decoder = new HpackDecoder(4096)
  for (let round = 0; round < 3000; round++) {
    const block = r.bytes(r.below(60))
    const list = new FieldList()
    decoder.decode(block, 0, block.length, list)
    assert.ok(decoder.table.size <= 4096)
    for (let i = 0; i < list.count; i++) assert.equal(typeof list.names[i], 'string')
  }
})
