import assert from 'node:assert/strict'
import test from 'node:test'
import {
  BAD,
  beginRequest,
  CLOSED,
  CONTENT,
  encodePair,
  END_REQUEST,
  endOf,
  NEED,
  OPENED,
  paramsRecords,
  recordHead,
  RecordReader,
  STDERR,
  STDIN,
  STDOUT,
} from '../../src/codec/fastcgi.ts'
import { arrivals, bytes, mutate, Random, seed } from './h1/feeding.ts'
import type { Arrival } from './h1/feeding.ts'

const start = seed()

/** What a reader tells of the bytes: the content by record, and how it ended. */
function read(wire: Buffer, arrival: Arrival): string[] {
  const reader = new RecordReader()
  const told: string[] = []
  let piece = ''
  let from = 0
  for (const end of arrival) {
    reader.pos = from
    for (;;) {
      const found = reader.next(wire, end)
      assert.ok(reader.pos <= end)
      if (found === BAD) return [...told, piece, reader.error]
      if (found === NEED) break
      if (found === OPENED) piece = `${reader.type}:${reader.left}:`
      else if (found === CONTENT) piece += wire.toString('latin1', reader.from, reader.to)
      else if (found === CLOSED) {
        told.push(piece)
        piece = ''
      }
    }
    assert.equal(reader.pos, end)
    from = end
  }
  return [...told, piece]
}

function record(type: number, content: string, padding = 0): string {
  const head = recordHead(type, content.length)
  return `${head.slice(0, 6)}${String.fromCharCode(padding)}\0${content}${'x'.repeat(padding)}`
}

const RESPONSE = bytes(
  record(STDERR, 'oh', 6) +
    record(STDOUT, 'A: b\n\nbody', 3) +
    record(STDOUT, '') +
    record(END_REQUEST, '\0'.repeat(8)),
)

test('a request is begun, told and ended in records of number 1', () => {
  assert.deepEqual([...bytes(beginRequest(true))], [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
  assert.equal(beginRequest(false).charCodeAt(10), 0)
  assert.equal(paramsRecords(encodePair('A', 'bc')), '\x01\x04\0\x01\0\x05\0\0\x01\x02Abc\x01\x04\0\x01\0\0\0\0')
  assert.equal(endOf(STDIN), '\x01\x05\0\x01\0\0\0\0')
})

test('a length from 128 on takes four bytes', () => {
  assert.equal(encodePair('n'.repeat(127), 'v'.repeat(128)).slice(0, 5), '\x7f\x80\0\0\x80')
  assert.equal(encodePair('A', 'v'.repeat(70000)).slice(0, 5), '\x01\x80\x01\x11\x70')
})

test('parameters of more than a record are several records', () => {
  const text = paramsRecords(encodePair('A', 'v'.repeat(70000)))
  assert.equal(text.length, 70006 + 3 * 8)
  assert.equal(text.slice(65543, 65551), recordHead(4, 70006 - 65535))
})

test('records are read whatever pieces they come in', () => {
  const told = ['7:2:oh', '6:10:A: b\n\nbody', '6:0:', `3:8:${'\0'.repeat(8)}`, '']
  for (const arrival of arrivals(RESPONSE.length)) assert.deepEqual(read(RESPONSE, arrival), told)
})

test('content given back is told again', () => {
  const reader = new RecordReader()
  reader.next(RESPONSE, 20)
  reader.next(RESPONSE, 20)
  reader.giveBack(9)
  assert.equal(reader.next(RESPONSE, 20), CONTENT)
  assert.deepEqual([reader.from, reader.to], [9, 10])
})

test('what no responder says is refused', () => {
  for (const [wire, error] of [
    ['\x02', 'unsupported FastCGI protocol version: 2'],
    ['\x01\x09', 'invalid FastCGI record type: 9'],
    ['\x01\x06\x01', 'unexpected FastCGI request id high byte: 1'],
    ['\x01\x06\x00\x02', 'unexpected FastCGI request id low byte: 2'],
  ] as const) {
    assert.equal(read(bytes(wire), [wire.length]).at(-1), `upstream sent ${error}`)
  }
})

test(`any bytes are read alike whole and byte by byte (FUZZ_SEED=${start})`, () => {
  const random = new Random(start)
  for (let i = 0; i < 2000; i++) {
    const wire = mutate(RESPONSE, RESPONSE, random)
    const each = Array.from({ length: wire.length }, (_, n) => n + 1)
    assert.deepEqual(read(wire, each), read(wire, [wire.length]))
  }
})
