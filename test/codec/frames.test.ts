import assert from 'node:assert/strict'
import test from 'node:test'
import { FrameReader, HEAD_MAX, TEXT_MAX, type FrameSink } from '../../src/codec/frame-reader.ts'
import {
  BYE,
  CLOSE,
  DATA,
  END,
  FAIL,
  FILE,
  FROM_FILE,
  HEAD,
  HELLO,
  INTERIM,
  LOG,
  MESSAGE,
  TEXT,
  TRAILERS,
  WINDOW,
  encodeAbort,
  encodeBodyFile,
  encodeBodyHeader,
  encodeCancel,
  encodeClose,
  encodeFrame,
  encodeMessageHeader,
  encodeRequest,
  encodeShutdown,
  encodeWindow,
} from '../../src/codec/frames.ts'

/** Writes down what it is told, body bytes joined, so that any split of the input must give the same. */
class Recorder implements FrameSink {
  readonly told: unknown[][] = []

  onHello(hello: object): void {
    this.told.push(['hello', { ...hello }])
  }
  onHead(stream: number, fields: string[], body: Buffer, bodySize: number, end: boolean): void {
    this.told.push(['head', stream, fields, bodySize])
    this.onData(stream, body, end)
  }
  onData(stream: number, bytes: Buffer, end: boolean): void {
    const last = this.told.at(-1)
    if (last !== undefined && last[0] === 'body' && last[1] === stream) last[2] += bytes.toString('latin1')
    else this.told.push(['body', stream, bytes.toString('latin1')])
    if (end) this.told.push(['end', stream])
  }
  onInterim(...told: unknown[]): void {
    this.told.push(['interim', ...told])
  }
  onTrailers(...told: unknown[]): void {
    this.told.push(['trailers', ...told])
  }
  onFile(...told: unknown[]): void {
    this.told.push(['file', ...told])
  }
  onLog(...told: unknown[]): void {
    this.told.push(['log', ...told])
  }
  onFail(stream: number): void {
    this.told.push(['fail', stream])
  }
  onBye(): void {
    this.told.push(['bye'])
  }
}

function head(stream: number, fields: string[], body: string | null, count = (fields.length - 1) / 2): Buffer {
  const text = Buffer.from(fields.join('\0'), 'latin1')
  const size = Buffer.alloc(4)
  size.writeUInt32LE(text.length)
  const content = Buffer.concat([size, text, Buffer.from(body ?? '', 'latin1')])
  return encodeFrame(HEAD, stream, body === null ? 0 : END, content, content.length, count)
}

function fields(type: number, stream: number, values: string[], count = (values.length - 1) / 2): Buffer {
  const content = Buffer.from(values.join('\0'), 'latin1')
  return encodeFrame(type, stream, 0, content, content.length, count)
}

const text = (type: number, stream: number, value: string, flags = 0) =>
  encodeFrame(type, stream, flags, Buffer.from(value))

const HELLO_TEXT = '{"pid":1,"slot":2,"kind":"sync","generation":3}'
const conversation = Buffer.concat([
  text(HELLO, 0, HELLO_TEXT),
  head(1, ['200 OK', 'A', 'b\xe4', 'C', ''], 'body \0\xff'),
  head(2, ['204 No Content'], ''),
  text(LOG, 3, 'zwei\nZeilen ä', 4),
  text(LOG, 3, '', 3),
  head(3, ['200 OK'], null),
  text(DATA, 3, 'one'),
  text(DATA, 3, ''),
  text(DATA, 3, 'two'),
  text(DATA, 3, 'three'),
  text(DATA, 6, 'of another'),
  text(DATA, 3, 'four'),
  text(DATA, 3, '', END),
  fields(INTERIM, 4, ['103 Early Hints', 'Link', '</\xe9>']),
  head(4, ['200 OK'], null),
  text(FILE, 4, '{"path":"/f","offset":1,"length":2}'),
  text(DATA, 4, '', END),
  head(5, ['200 OK'], null),
  text(FAIL, 5, 'why'),
  text(BYE, 0, ''),
])
const told = [
  ['hello', { pid: 1, slot: 2, kind: 'sync', generation: 3, thread: 0, link: 0 }],
  ['head', 1, ['200 OK', 'A', 'b\xe4', 'C', ''], 7],
  ['body', 1, 'body \0\xff'],
  ['end', 1],
  ['head', 2, ['204 No Content'], 0],
  ['body', 2, ''],
  ['end', 2],
  ['log', 3, 4, 'zwei\nZeilen ä'],
  ['log', 3, 3, ''],
  ['head', 3, ['200 OK'], -1],
  ['body', 3, 'onetwothree'],
  ['body', 6, 'of another'],
  ['body', 3, 'four'],
  ['end', 3],
  ['interim', 4, ['103 Early Hints', 'Link', '</\xe9>']],
  ['head', 4, ['200 OK'], -1],
  ['body', 4, ''],
  ['file', 4, '/f', 1, 2],
  ['body', 4, ''],
  ['end', 4],
  ['head', 5, ['200 OK'], -1],
  ['body', 5, ''],
  ['fail', 5],
  ['bye'],
]

test('frames: a conversation reads the same whole, byte by byte and split anywhere', () => {
  for (let first = 0; first <= conversation.length; first++) {
    const sink = new Recorder()
    const reader = new FrameReader(sink)
    assert.ok(reader.push(Buffer.from(conversation.subarray(0, first))))
    assert.ok(reader.push(Buffer.from(conversation.subarray(first))))
    assert.ok(reader.atBoundary)
    assert.deepEqual(sink.told, told)
  }
  const sink = new Recorder()
  const reader = new FrameReader(sink)
  for (const byte of conversation) assert.ok(reader.push(Buffer.from([byte])))
  assert.deepEqual(sink.told, told)
})

test('frames: a short response is told in one call, with its body', () => {
  const calls: unknown[] = []
  const sink = new Recorder()
  sink.onHead = (stream, fields, body, bodySize, end) =>
    calls.push([stream, fields, body.toString('latin1'), bodySize, end])
  assert.ok(new FrameReader(sink).push(head(7, ['200 OK', 'A', 'b'], 'body')))
  assert.deepEqual(calls, [[7, ['200 OK', 'A', 'b'], 'body', 4, true]])
})

test('frames: small parts of a body that come together are told together', () => {
  const calls: unknown[] = []
  const sink = new Recorder()
  sink.onData = (stream, bytes, end) => calls.push([stream, bytes.toString('latin1'), end])
  const large = 'x'.repeat(20_000)
  const chunk = Buffer.concat([
    text(DATA, 1, 'a'),
    text(DATA, 1, 'bc'),
    text(DATA, 1, ''),
    text(DATA, 1, large),
    text(DATA, 1, 'd'),
    text(DATA, 2, 'e'),
    text(DATA, 2, '', END),
    text(DATA, 1, 'f'),
    text(DATA, 1, 'cut'),
  ])
  const reader = new FrameReader(sink)
  assert.ok(reader.push(chunk.subarray(0, -2)))
  assert.ok(reader.push(chunk.subarray(-2)))
  assert.deepEqual(calls, [
    [1, 'abc', false],
    [1, '', false],
    [1, `${large}d`, false],
    [2, 'e', true],
    [1, 'fc', false],
    [1, 'ut', false],
  ])
})

test('frames: body bytes are told out of the chunk they came in, however long the frame is', () => {
  const sink = new Recorder()
  let told = 0
  let ends = 0
  const chunk = Buffer.alloc(65536)
  sink.onData = (_stream, bytes, end) => {
    assert.equal(bytes.buffer, chunk.buffer)
    told += bytes.length
    if (end) ends++
  }
  const reader = new FrameReader(sink)
  const length = 65536 * 50_000
  assert.ok(reader.push(encodeFrame(DATA, 1, END, Buffer.alloc(0), length)))
  for (let i = 0; i < 50_000; i++) assert.ok(reader.push(chunk))
  assert.equal(told, length)
  assert.equal(ends, 1)
  assert.ok(reader.atBoundary)
})

test('frames: what no worker may send ends the reading and names the reason', () => {
  const cases: [Buffer, RegExp][] = [
    [encodeFrame(0, 1, 0, Buffer.alloc(0)), /unknown type 0/],
    [encodeFrame(2, 1, 0, Buffer.alloc(0)), /unknown type 2/],
    [encodeFrame(10, 1, 0, Buffer.alloc(0)), /unknown type 10/],
    [encodeFrame(HEAD, 1, END, Buffer.alloc(3)), /HEAD of 3 bytes/],
    [encodeFrame(HEAD, 1, END, Buffer.from([9, 0, 0, 0, 1])), /head of 9 bytes in a frame with 1/],
    [encodeFrame(HEAD, 1, END, Buffer.from([1, 0, 16, 0]), HEAD_MAX + 100), /head of 1048577 bytes/],
    [encodeFrame(HEAD, 1, 0, Buffer.from([1, 0, 0, 0, 65, 66])), /body inside a HEAD/],
    [head(1, ['200 OK', 'A'], '', 1), /2 strings instead of 3/],
    [head(1, ['200 OK', 'A', 'b'], '', 0), /3 strings instead of 1/],
    [encodeFrame(LOG, 1, 3, Buffer.alloc(0), TEXT_MAX + 1), /type 8 with 1048577 bytes/],
    [text(HELLO, 0, '[]'), /malformed HELLO/],
    [text(HELLO, 0, '{"pid":"1"}'), /malformed HELLO/],
    [text(FILE, 1, 'nonsense'), /malformed FILE/],
    [fields(INTERIM, 1, ['103', 'A'], 1), /type 15 with 2 strings/],
    [encodeFrame(INTERIM, 1, 0, Buffer.alloc(0), TEXT_MAX + 1), /type 15 with 1048577 bytes/],
    [text(FILE, 1, '{"path":"/f","offset":-1,"length":2}'), /malformed FILE/],
  ]
  for (const [input, reason] of cases) {
    const sink = new Recorder()
    const reader = new FrameReader(sink)
    assert.equal(reader.push(input), false)
    assert.match(reader.error!, reason)
    assert.equal(reader.push(conversation), false)
    assert.deepEqual(sink.told, [])
  }
})

test('frames: a sink that stops the reader is told nothing more', () => {
  const sink = new Recorder()
  const reader = new FrameReader(sink)
  sink.onHello = () => reader.stop()
  assert.equal(reader.push(Buffer.from(conversation)), false)
  assert.equal(reader.error, null)
  assert.deepEqual(sink.told, [])
})

test('frames: a request carries its environ, then its body', () => {
  const frame = encodeRequest(0x80000001, ['A', 'ä', 'PATH_INFO', '/\0'], Buffer.from('body'))
  const environ = Buffer.from('A\0ä\0PATH_INFO\0/\0', 'latin1')
  assert.equal(frame.readUInt32LE(0), frame.length - 12)
  assert.equal(frame.readUInt32LE(4), 0x80000001)
  assert.deepEqual([...frame.subarray(8, 12)], [2, END, 2, 0])
  assert.equal(frame.readUInt32LE(12), environ.length)
  assert.deepEqual(frame.subarray(16), Buffer.concat([environ, Buffer.from('body')]))
  assert.equal(encodeRequest(1, ['A', 'b'], null)[9], 0)
})

test('frames: the small frames to a worker', () => {
  assert.deepEqual([...encodeBodyHeader(3, 0x01020304, true)], [4, 3, 2, 1, 3, 0, 0, 0, 3, END, 0, 0])
  assert.deepEqual([...encodeAbort(3)], [0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0])
  assert.deepEqual([...encodeShutdown()], [0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0])
  const file = encodeBodyFile(3, '/tmp/b', 9)
  assert.equal(file[9], END | FROM_FILE)
  assert.deepEqual(JSON.parse(file.toString('utf8', 12)), { path: '/tmp/b', length: 9 })
})

test('frames: any input is read or refused, and the split does not matter', t => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const random = mulberry(seed)
  for (let round = 0; round < 3000; round++) {
    const input = mutate(random)
    const whole = read([input])
    const pieces: Buffer[] = []
    for (let at = 0; at < input.length;) {
      const size = 1 + Math.floor(random() * (random() < 0.5 ? 4 : 60))
      pieces.push(input.subarray(at, at + size))
      at += size
    }
    assert.deepEqual(read(pieces), whole, `round ${round}`)
  }
})

function read(chunks: Buffer[]): unknown {
  const sink = new Recorder()
  const reader = new FrameReader(sink)
  for (const chunk of chunks) if (!reader.push(Buffer.from(chunk))) break
  return [sink.told, reader.error, reader.error === null && reader.atBoundary]
}

/** The conversation with a few bytes changed, removed or doubled. */
function mutate(random: () => number): Buffer {
  let bytes = Buffer.from(conversation)
  const changes = Math.floor(random() * 4)
  for (let i = 0; i < changes; i++) {
    const at = Math.floor(random() * bytes.length)
    const kind = random()
    if (kind < 0.5) bytes[at] = Math.floor(random() * 256)
    else if (kind < 0.75)
      bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + Math.floor(random() * 20))])
    else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - 12))])
  }
  return bytes
}

function mulberry(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A sink for workers that serve many requests at a time. */
class StreamRecorder extends Recorder {
  override onBye(last?: number): void {
    this.told.push(['bye', last])
  }
  onWindow(...told: unknown[]): void {
    this.told.push(['window', ...told])
  }
  onMessage(...told: unknown[]): void {
    this.told.push(['message', ...told])
  }
  onCloseFrame(stream: number, code: number, reason: Buffer): void {
    this.told.push(['close', stream, code, reason.toString('latin1')])
  }
}

test('frames: windows, messages and closes of many streams are told in any split', () => {
  const bytes = Buffer.concat([
    encodeWindow(3, 70000),
    encodeMessageHeader(5, true, 5),
    Buffer.from('hello'),
    encodeFrame(MESSAGE, 6, 0, Buffer.alloc(0)),
    fields(TRAILERS, 4, ['', 'A', 'b', 'C', '']),
    encodeClose(5, 1001, Buffer.from('away')),
    encodeFrame(BYE, 6, 0, Buffer.alloc(0)),
  ])
  const expected = [
    ['window', 3, 70000],
    ['message', 5, true, 5],
    ['body', 5, 'hello'],
    ['message', 6, false, 0],
    ['trailers', 4, ['A', 'b', 'C', '']],
    ['close', 5, 1001, 'away'],
    ['bye', 6],
  ]
  for (const size of [1, 2, 7, bytes.length]) {
    const sink = new StreamRecorder()
    const reader = new FrameReader(sink)
    for (let at = 0; at < bytes.length; at += size) assert.ok(reader.push(bytes.subarray(at, at + size)))
    assert.deepEqual(sink.told, expected)
  }
})

test('frames: a worker without streams may not send what only streams have', () => {
  for (const [type, size] of [
    [WINDOW, 4],
    [MESSAGE, 4],
    [CLOSE, 4],
  ] as const) {
    const reader = new FrameReader(new Recorder())
    assert.equal(reader.push(encodeFrame(type, 1, type === MESSAGE ? TEXT : 0, Buffer.alloc(size))), false)
    assert.match(reader.error!, /frame of/)
  }
})

test('frames: an abort that cancels has the flag END', () => {
  assert.equal(encodeCancel(7)[9], END)
  assert.equal(encodeAbort(7)[9], 0)
})
