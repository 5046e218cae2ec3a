// RFC 9113 and RFC 7541, frame by frame: what a server must answer, and what it must end a stream or the connection for. Every
// case is also sent byte by byte.

import assert from 'node:assert/strict'
import test from 'node:test'
import { fileScope } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import {
  connectHttp2,
  END_HEADERS,
  END_STREAM,
  frame,
  get,
  headers,
  type Http2Client,
  post,
  PREFACE,
  settings,
  uint32,
  windowUpdate,
  block,
} from '../../helpers/http2.ts'

const PROTOCOL_ERROR = 1
const FLOW_CONTROL_ERROR = 3
const STREAM_CLOSED = 5
const FRAME_SIZE_ERROR = 6
const COMPRESSION_ERROR = 9

const OPEN = END_HEADERS
const WHOLE = END_HEADERS | END_STREAM

/** A status of stream 1, or what ends the stream or the connection. */
type Outcome = { answer: number } | { stream: number } | { connection: number } | 'pong'

const answered: Outcome = { answer: 200 }
const ends = (connection: number): Outcome => ({ connection })
const resets = (stream: number): Outcome => ({ stream })
const ping = frame(6, 0, 0, 'portico!')
const request = headers(1, get())

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

/** The pseudo-headers by index, then what is given in hexadecimal. */
function encoded(more: string): Buffer {
  return frame(1, WHOLE, 1, hex(`828684 4109 6c6f63616c686f7374 ${more}`))
}

function priority(stream: number, on: number, weight: number): Buffer {
  return frame(2, 0, stream, Buffer.concat([uint32(on), Buffer.from([weight - 1])]))
}

function split(fields: Buffer, ...flags: number[]): Buffer {
  const size = Math.ceil(fields.length / flags.length)
  return Buffer.concat(
    flags.map((flag, i) => frame(i === 0 ? 1 : 9, flag, 1, fields.subarray(i * size, (i + 1) * size))),
  )
}

const cases: Record<string, readonly (readonly [what: string, frames: readonly Buffer[], outcome: Outcome])[]> = {
  '4.1 frame format': [
    ['an unknown type is ignored', [frame(99, 0, 0, 'x'), ping], 'pong'],
    ['undefined flags are ignored', [frame(6, 0x16, 0, 'portico!')], 'pong'],
    ['the reserved bit is ignored', [frame(6, 0, 0x80000000, 'portico!')], 'pong'],
  ],
  '4.2 frame size': [
    ['DATA as long as was announced', [headers(1, post(), OPEN), frame(0, 1, 1, Buffer.alloc(16384))], answered],
    ['DATA of more', [headers(1, post('/body'), OPEN), frame(0, 1, 1, Buffer.alloc(16385))], ends(FRAME_SIZE_ERROR)],
    ['HEADERS of more', [frame(1, WHOLE, 1, Buffer.alloc(16385))], ends(FRAME_SIZE_ERROR)],
    ['RST_STREAM of three bytes', [headers(1, post('/body'), OPEN), frame(3, 0, 1, 'xxx')], ends(FRAME_SIZE_ERROR)],
    ['PRIORITY of four bytes', [headers(1, post('/body'), OPEN), frame(2, 0, 1, 'xxxx')], resets(FRAME_SIZE_ERROR)],
  ],
  '4.3 header blocks': [
    ['what is no block', [frame(1, WHOLE, 1, hex('00 85 f2b24a87fffffffd25427f'))], ends(COMPRESSION_ERROR)],
    ['PRIORITY in between', [frame(1, END_STREAM, 1, block(get())), priority(1, 0, 16)], ends(PROTOCOL_ERROR)],
    ["another stream's in between", [frame(1, END_STREAM, 1, block(get())), headers(3, get())], ends(PROTOCOL_ERROR)],
    ['an unknown frame in between', [frame(1, END_STREAM, 1, block(get())), frame(99, 0, 0)], ends(PROTOCOL_ERROR)],
  ],
  '5.1 stream states': [
    ['idle: DATA', [frame(0, 1, 1, 'x')], ends(PROTOCOL_ERROR)],
    ['idle: RST_STREAM', [frame(3, 0, 1, uint32(8))], ends(PROTOCOL_ERROR)],
    ['idle: WINDOW_UPDATE', [windowUpdate(1, 100)], ends(PROTOCOL_ERROR)],
    ['idle: CONTINUATION', [frame(9, WHOLE, 1, block(get()))], ends(PROTOCOL_ERROR)],
    ['idle: PRIORITY', [priority(1, 0, 1), priority(3, 1, 256), request], answered],
    ['half-closed: DATA', [headers(1, get('/slow')), frame(0, 1, 1, 'x')], resets(STREAM_CLOSED)],
    ['half-closed: HEADERS', [headers(1, get('/slow')), headers(1, get())], resets(STREAM_CLOSED)],
    ['half-closed: CONTINUATION', [headers(1, get('/slow')), frame(9, END_HEADERS, 1)], ends(PROTOCOL_ERROR)],
    ['half-closed: WINDOW_UPDATE and PRIORITY', [request, windowUpdate(1, 100), priority(1, 0, 16)], answered],
    ['half-closed: RST_STREAM', [headers(1, get('/slow')), frame(3, 0, 1, uint32(8)), ping], 'pong'],
    ['closed: DATA', [headers(1, get('/slow')), frame(3, 0, 1, uint32(8)), frame(0, 1, 1, 'x')], ends(STREAM_CLOSED)],
    ['closed: HEADERS', [headers(1, get('/slow')), frame(3, 0, 1, uint32(8)), request], ends(PROTOCOL_ERROR)],
    ['closed: PRIORITY', [request, priority(1, 0, 16), ping], 'pong'],
    ['closed by an answer: HEADERS', [request, headers(1, get())], ends(PROTOCOL_ERROR)],
    ['an even identifier', [headers(2, get())], ends(PROTOCOL_ERROR)],
    ['an identifier below the last', [headers(5, get()), headers(3, get())], ends(PROTOCOL_ERROR)],
  ],
  '5.3.1 dependencies': [
    [
      'HEADERS on itself',
      [frame(1, WHOLE | 0x20, 1, Buffer.concat([uint32(1), hex('ff'), block(get())]))],
      ends(PROTOCOL_ERROR),
    ],
    ['PRIORITY on itself', [headers(1, post('/body'), OPEN), priority(1, 1, 16)], resets(PROTOCOL_ERROR)],
    [
      'HEADERS with a priority',
      [frame(1, WHOLE | 0x20, 1, Buffer.concat([uint32(0), hex('ff'), block(get())]))],
      answered,
    ],
    ['PRIORITY that is exclusive', [priority(1, 0x80000003, 9), request], answered],
  ],
  '5.4.1 connection errors': [['a ping of one byte', [frame(6, 0, 0, 'x')], ends(FRAME_SIZE_ERROR)]],
  '6.1 DATA': [
    ['of stream 0', [frame(0, 1, 0, 'x')], ends(PROTOCOL_ERROR)],
    [
      'with more padding than bytes',
      [headers(1, post('/body'), OPEN), frame(0, 9, 1, '\x06abcde')],
      ends(PROTOCOL_ERROR),
    ],
    ['padded, and empty', [headers(1, post('/body'), OPEN), frame(0, 9, 1)], ends(FRAME_SIZE_ERROR)],
    ['with padding alone', [headers(1, post(), OPEN), frame(0, 9, 1, '\x02\0\0')], answered],
  ],
  '6.2 HEADERS': [
    ['of stream 0', [headers(0, get())], ends(PROTOCOL_ERROR)],
    ['without a block', [frame(1, 5, 1)], ends(FRAME_SIZE_ERROR)],
    ['of padding alone', [frame(1, 13, 1, [2, 0, 0])], ends(FRAME_SIZE_ERROR)],
    ['a field without a name', [headers(1, get('/', [['', 'x']]))], ends(PROTOCOL_ERROR)],
    ['with too much padding', [frame(1, WHOLE | 8, 1, Buffer.concat([hex('ff'), block(get())]))], ends(PROTOCOL_ERROR)],
    ['with padding', [frame(1, WHOLE | 8, 1, Buffer.concat([hex('02'), block(get()), hex('0000')]))], answered],
    ['too short for its priority', [frame(1, WHOLE | 0x20, 1, 'xxx')], ends(FRAME_SIZE_ERROR)],
  ],
  '6.3 and 6.4 PRIORITY and RST_STREAM': [
    ['PRIORITY of stream 0', [priority(0, 1, 16)], ends(PROTOCOL_ERROR)],
    ['RST_STREAM of stream 0', [frame(3, 0, 0, uint32(8))], ends(PROTOCOL_ERROR)],
  ],
  '6.5 SETTINGS': [
    ['an acknowledgement with a payload', [frame(4, 1, 0, 'x')], ends(FRAME_SIZE_ERROR)],
    ['of a stream', [frame(4, 0, 1, '\0\x03\0\0\0\x64')], ends(PROTOCOL_ERROR)],
    ['of three bytes', [frame(4, 0, 0, 'xxx')], ends(FRAME_SIZE_ERROR)],
    ['ENABLE_PUSH 2', [settings(2, 2)], ends(PROTOCOL_ERROR)],
    ['INITIAL_WINDOW_SIZE 2^31', [settings(4, 2 ** 31)], ends(FLOW_CONTROL_ERROR)],
    ['MAX_FRAME_SIZE 16383', [settings(5, 16383)], ends(PROTOCOL_ERROR)],
    ['MAX_FRAME_SIZE 2^24', [settings(5, 2 ** 24)], ends(PROTOCOL_ERROR)],
    ['unknown ones', [settings(0xff, 1), ping], 'pong'],
    ['the last of several values counts', [settings(4, 100, 4, 4), headers(1, get()), windowUpdate(1, 100)], answered],
  ],
  '6.7 PING': [
    ['is answered', [ping], 'pong'],
    ['an acknowledgement is not', [frame(6, 1, 0, 'invalid!'), ping], 'pong'],
    ['of a stream', [frame(6, 0, 1, 'portico!')], ends(PROTOCOL_ERROR)],
  ],
  '6.8 GOAWAY': [
    ['of a stream', [frame(7, 0, 1, uint32(0, 0))], ends(PROTOCOL_ERROR)],
    ['of four bytes', [frame(7, 0, 0, uint32(0))], ends(FRAME_SIZE_ERROR)],
    ['with an unknown code', [frame(7, 0, 0, uint32(0, 0xff)), ping], 'pong'],
  ],
  '6.9 WINDOW_UPDATE': [
    ['by 0', [windowUpdate(0, 0)], ends(PROTOCOL_ERROR)],
    ['of a stream, by 0', [headers(1, post('/body'), OPEN), windowUpdate(1, 0)], resets(PROTOCOL_ERROR)],
    ['of three bytes', [frame(8, 0, 0, 'xxx')], ends(FRAME_SIZE_ERROR)],
    ['above 2^31-1', [windowUpdate(0, 0x7fffffff), windowUpdate(0, 0x7fffffff)], ends(FLOW_CONTROL_ERROR)],
    [
      'of a stream, above 2^31-1',
      [headers(1, post('/body'), OPEN), windowUpdate(1, 0x7fffffff), windowUpdate(1, 1)],
      resets(FLOW_CONTROL_ERROR),
    ],
    ['a window of 1 is heeded', [settings(4, 1), headers(1, get()), windowUpdate(1, 1), windowUpdate(1, 2)], answered],
    ['a window may become negative', [settings(4, 3), headers(1, get()), settings(4, 2), windowUpdate(1, 2)], answered],
    [
      'INITIAL_WINDOW_SIZE lifts a stream above 2^31-1',
      [headers(1, post('/body'), OPEN), windowUpdate(1, 0x7fff0000 - 1), settings(4, 0x7fffffff)],
      ends(FLOW_CONTROL_ERROR),
    ],
  ],
  '6.10 CONTINUATION': [
    ['two behind HEADERS', [split(block(get()), END_STREAM, 0, END_HEADERS)], answered],
    ['DATA instead', [frame(1, 0, 1, block(get())), frame(0, 1, 1, 'x')], ends(PROTOCOL_ERROR)],
    ['of stream 0', [frame(1, END_STREAM, 1, block(get())), frame(9, END_HEADERS, 0)], ends(PROTOCOL_ERROR)],
    [
      'behind the end of the block',
      [split(block(get()), 0, END_HEADERS), frame(9, END_HEADERS, 1)],
      ends(PROTOCOL_ERROR),
    ],
    [
      'behind DATA',
      [headers(1, post('/body'), OPEN), frame(0, 0, 1, 'x'), frame(9, END_HEADERS, 1)],
      ends(PROTOCOL_ERROR),
    ],
  ],
  '6.6 PUSH_PROMISE': [['of a client', [frame(5, 4, 1, uint32(2))], ends(PROTOCOL_ERROR)]],
  '7 error codes': [
    ['RST_STREAM with an unknown one', [headers(1, get('/slow')), frame(3, 0, 1, uint32(0xff)), ping], 'pong'],
  ],
  '8.1 requests': [
    ['trailers end a request', [headers(1, post(), OPEN), frame(0, 0, 1, 'x'), headers(1, [['x-sum', '1']])], answered],
    [
      'trailers that do not',
      [headers(1, post('/body'), OPEN), headers(1, [['x-sum', '1']], END_HEADERS)],
      resets(PROTOCOL_ERROR),
    ],
    [
      'pseudo-headers in trailers',
      [headers(1, post('/body'), OPEN), headers(1, [[':method', 'GET']])],
      resets(PROTOCOL_ERROR),
    ],
    [
      'trailers break the rules behind an early answer',
      [headers(1, post(), OPEN), frame(0, 0, 1, 'x'), headers(1, [['x', 'y']], END_HEADERS)],
      resets(PROTOCOL_ERROR),
    ],
    [
      'a body longer than declared, behind an early answer',
      [headers(1, post('/', [['content-length', '1']]), OPEN), frame(0, 1, 1, 'xx')],
      resets(PROTOCOL_ERROR),
    ],
    [':status of a request', [headers(1, get('/', [[':status', '200']]))], resets(PROTOCOL_ERROR)],
  ],
  'RFC 7541': [
    [
      'indexed, literal, Huffman-coded, never indexed',
      [encoded('40 0178 0179 be 7e 817f 0f 2d 0179 10 0178 81f3')],
      answered,
    ],
    ['a size update', [frame(1, WHOLE, 1, Buffer.concat([hex('20 3fe11f'), block(get())]))], answered],
    ['2.3.3: an index beyond the table', [encoded('c6')], ends(COMPRESSION_ERROR)],
    ['4.2: a size update behind a field', [encoded('20')], ends(COMPRESSION_ERROR)],
    ['5.2: padding of more than 7 bits', [encoded('00 8bfcf3acd51dc65b0ffff 00')], ends(COMPRESSION_ERROR)],
    ['5.2: padding of zeros', [encoded('00 8100 00')], ends(COMPRESSION_ERROR)],
    ['5.2: EOS', [encoded('00 84ffffffff 00')], ends(COMPRESSION_ERROR)],
    ['6.1: index 0', [encoded('80')], ends(COMPRESSION_ERROR)],
    [
      '6.3: a table larger than agreed on',
      [frame(1, WHOLE, 1, Buffer.concat([hex('3fe21f'), block(get())]))],
      ends(COMPRESSION_ERROR),
    ],
  ],
}

const scope = fileScope()
const server = serveHttp(
  scope,
  `http2 on; lingering_timeout 100ms; lingering_time 200ms; limit_rate_after 1;
   location / { return 200 text; }
   location /body { proxy_pass http://%PORT%/; }
   location /slow { limit_rate 1; root html; }`,
  '',
  { files: { 'html/slow': 'x'.repeat(100) } },
)

for (const [section, list] of Object.entries(cases)) {
  test(`http2: ${section}`, async t => {
    for (const [what, frames, outcome] of list) {
      for (const how of ['whole', 'byte by byte'] as const) {
        await t.test(`${what}, ${how}`, async t => {
          const { port } = await server
          const client = await connectHttp2(t, port)
          const bytes = Buffer.concat([Buffer.from(PREFACE), settings(), frame(4, 1, 0), ...frames])
          if (how === 'whole') client.send(bytes)
          else for (const byte of bytes) client.send(Buffer.from([byte]))
          await check(client, outcome)
        })
      }
    }
  })
}

async function check(client: Http2Client, outcome: Outcome): Promise<void> {
  if (outcome === 'pong') {
    const { payload } = await client.until(() => client.frames.find(f => f.type === 'PING' && f.flags === 1), 'a pong')
    assert.equal(payload.toString(), 'portico!')
    assert.equal(client.frames.filter(f => f.type === 'PING').length, 1)
  } else if ('answer' in outcome) {
    const answer = await client.response(1)
    assert.deepEqual([answer.status, answer.body], [outcome.answer, 'text'])
  } else if ('stream' in outcome) {
    const { code } = await client.until(
      () => client.frames.find(f => f.type === 'RST_STREAM' && f.stream === 1),
      'a reset',
    )
    assert.equal(code, outcome.stream)
    client.send(frame(6, 0, 0, 'portico!'))
    await client.until(() => client.frames.some(f => f.type === 'PING'), 'a pong: the connection goes on')
  } else {
    const goaway = client.frame('GOAWAY')
    assert.equal((await goaway).code, outcome.connection)
    client.socket.end()
    await client.closed()
  }
}

test('http2: what is neither HTTP/1 nor a preface is answered with GOAWAY', async t => {
  const client = await connectHttp2(t, (await server).port)
  client.send('INVALID CONNECTION PREFACE\r\n\r\n')
  assert.equal((await client.frame('GOAWAY')).code, PROTOCOL_ERROR)
})
