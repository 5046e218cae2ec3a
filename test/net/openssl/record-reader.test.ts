// Records of TLS are cut from chunks of any size, and kept while their owner pauses.

import assert from 'node:assert/strict'
import test from 'node:test'
import { RecordReader, type RecordSink } from '../../../src/net/openssl/record-reader.ts'

class Sink implements RecordSink {
  readonly records: string[] = []
  takesRecords = true
  reading = true
  /** Pauses behind so many records. */
  pauseAfter = Infinity

  onRecord(record: Buffer): void {
    this.records.push(record.toString('latin1'))
    if (this.records.length >= this.pauseAfter) this.reading = false
  }
}

const APPLICATION_DATA = 23
const record = (text: string): string => String.fromCharCode(APPLICATION_DATA, 3, 3, 0, text.length) + text
const messages = ['first', '', 'third, and the last one'].map(record)
const stream = Buffer.from(messages.join(''), 'latin1')

for (const size of [1, 2, 5, 7, stream.length]) {
  test(`records are handed over one by one when ${size} bytes come at a time`, () => {
    const sink = new Sink()
    const reader = new RecordReader(sink)
    for (let at = 0; at < stream.length; at += size) reader.take(Buffer.from(stream.subarray(at, at + size)))
    assert.deepEqual(sink.records, messages)
    assert.equal(reader.holds, false)
  })
}

test('a pause keeps the records behind it, and what comes in later goes behind those', () => {
  const sink = new Sink()
  const reader = new RecordReader(sink)
  sink.pauseAfter = 1
  reader.take(Buffer.from(stream))
  assert.deepEqual(sink.records, messages.slice(0, 1))
  assert.equal(reader.holds, true)
  reader.take(Buffer.from(record('fourth'), 'latin1'))
  assert.equal(sink.records.length, 1)
  sink.pauseAfter = Infinity
  sink.reading = true
  reader.readHeld()
  assert.deepEqual(sink.records, [...messages, record('fourth')])
  assert.equal(reader.holds, false)
})

test('what is no record is handed over as it is, for OpenSSL to refuse', () => {
  for (const text of ['GET / HTTP/1.1\r\n', '\x17\x02\x00\x00\x01a', '\x17\x03\x03\xff\xffa']) {
    const sink = new Sink()
    new RecordReader(sink).take(Buffer.from(text, 'latin1'))
    assert.deepEqual(sink.records, [text])
  }
})

test('nothing is handed over to who takes no more', () => {
  const sink = new Sink()
  sink.takesRecords = false
  const reader = new RecordReader(sink)
  reader.take(Buffer.from(stream))
  assert.deepEqual(sink.records, [])
  assert.equal(reader.holds, false)
})
