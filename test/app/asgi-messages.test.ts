// What an ASGI application sends that is wrong, or out of its turn: it is told so by an error, and may go on with what is right.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import test from '../helpers/python-test.ts'
import { eventually } from '../helpers/eventually.ts'
import type { Response } from '../helpers/message.ts'
import { get, raw } from '../helpers/raw.ts'
import { serveThings, shared } from './things.ts'

interface Bytes {
  readonly b: string
}
type Message = Readonly<Record<string, unknown>>

const usual = shared(t => serveThings(t, { module: 'asgi_messages:application', app: 'kind asgi; workers 1;' }))

const b = (text: string): Bytes => ({ b: text })
const start = (more: Message = {}): Message => ({ type: 'http.response.start', status: 200, ...more })
const fields = (...headers: unknown[][]): Message => start({ headers })
const body = (text: unknown, more = false): Message => ({ type: 'http.response.body', body: text, more_body: more })
const accept = (more: Message = {}): Message => ({ type: 'websocket.accept', ...more })
const close = (more: Message = {}): Message => ({ type: 'websocket.close', ...more })
const say = (more: Message): Message => ({ type: 'websocket.send', ...more })

function target(messages: readonly Message[]): string {
  return `/?${encodeURIComponent(JSON.stringify(messages))}`
}

/** What each message came to: '' where it was taken. */
async function told(): Promise<string[]> {
  const server = await usual()
  let results: string[] | null = null
  await eventually(async () => {
    results = JSON.parse((await get(server.port, '/told')).text)
    return results !== null
  })
  return results!
}

async function ask(...messages: Message[]): Promise<{ answer: Response; results: string[] }> {
  const server = await usual()
  const answer = await get(server.port, target(messages))
  return { answer, results: await told() }
}

/** The messages that were refused, with why; the others were taken. */
function refused(results: readonly string[], expected: Readonly<Record<number, RegExp>>): void {
  for (const [i, result] of results.entries()) assert.match(result, expected[i] ?? /^$/, `message ${i}`)
}

function handshake(messages: readonly Message[]): string {
  return (
    `GET ${target(messages)} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n\r\n'
  )
}

/** As a websocket. */
async function talk(t: TestContext, messages: readonly Message[]): Promise<{ head: string; results: string[] }> {
  const server = await usual()
  const client = await raw(t, server.port)
  await client.send(handshake(messages))
  const results = await told()
  return { head: await client.until('\r\n\r\n'), results }
}

test('asgi messages: one that is unknown raises, and the right ones behind it are the response', async () => {
  const { answer, results } = await ask({ type: 'http.response.nonsense' }, start(), body(b('right')))
  refused(results, { 0: /^ValueError: unknown message "http.response.nonsense"/ })
  assert.deepEqual([answer.status, answer.text], [200, 'right'])
})

test('asgi messages: a second start, and what comes behind the end, raise and change nothing', async () => {
  const twice = await ask(start(), start({ status: 404 }), body(b('first')))
  refused(twice.results, { 1: /^RuntimeError: .*sent already/ })
  assert.deepEqual([twice.answer.status, twice.answer.text], [200, 'first'])

  const late = await ask(start(), body(b('all')), body(b('more')), start())
  refused(late.results, { 2: /^RuntimeError: .*after the last one/, 3: /^RuntimeError: .*sent already/ })
  assert.equal(late.answer.text, 'all')

  const path = { type: 'http.response.pathsend', path: '/etc/hostname' }
  const trailers = { type: 'http.response.trailers', headers: [] }
  const extensions = await ask(path, start(), trailers, body(b('a'), true), path, body(b('b')))
  const turn = /^RuntimeError: .*out of its turn/
  refused(extensions.results, { 0: turn, 2: turn, 4: turn })
  assert.equal(extensions.answer.text, 'ab')
})

test('asgi messages: a head that cannot be sent raises, and another may be sent in its place', async () => {
  const field = b('x-field')
  const length = b('content-length')
  const wrong: [Message, RegExp][] = [
    [start({ status: 103 }), /^HeadError: status 103/],
    [start({ status: 1000 }), /^HeadError: status 1000/],
    [fields([length, b('five')]), /^HeadError: Content-Length b'five' is not one number/],
    [fields([length, b('-5')]), /^HeadError: Content-Length/],
    [fields([length, b('5')], [length, b('6')]), /^HeadError: Content-Length/],
    [fields([field, b('a\r\nx-other: b')]), /^HeadError: a response field holds a control character/],
    [fields([field, b('a\0b')]), /^HeadError: a response field holds a control character/],
    [fields([b('x\nfield'), b('a')]), /^HeadError/],
    [fields([7, b('a')]), /^HeadError: field name 7 is int instead of bytes/],
    [fields([field, 7]), /^TypeError: x-field is int instead of bytes/],
  ]
  const messages = [...wrong.map(([message]) => message), fields([field, b('right')]), body(b('x'))]
  const { answer, results } = await ask(...messages)
  refused(results, Object.fromEntries(wrong.map(([, why], i) => [i, why])))
  assert.deepEqual([answer.status, answer.header('x-field'), answer.text], [200, 'right', 'x'])
  assert.equal(answer.header('x-other'), null)
})

test('asgi messages: what can be understood is: names that are str, one length said twice, one of no body', async () => {
  const length = b('content-length')
  const twice = await ask(fields(['x-name', 'as text'], [length, b('4')], [length, b(' 4 ')]), body({ array: 'body' }))
  refused(twice.results, {})
  assert.deepEqual([twice.answer.header('x-name'), twice.answer.text], ['as text', 'body'])
  assert.equal(twice.answer.header('content-length'), '4')

  const none = await ask(start({ status: 204, headers: [[length, b('5')]] }), body(b('')))
  refused(none.results, {})
  assert.deepEqual([none.answer.status, none.answer.header('content-length')], [204, null])
})

test('asgi messages: a body that is no bytes raises; more than its length is dropped, less is cut off', async () => {
  const server = await usual()
  const text = await ask(start(), body('text'), body(7), body(b('bytes')))
  refused(text.results, { 1: /^TypeError: body is str instead of bytes/, 2: /^TypeError: body is int/ })
  assert.equal(text.answer.text, 'bytes')

  const length = (size: number): Message => fields([b('content-length'), b(`${size}`)])
  const more = await ask(length(3), body(b('12'), true), body(b('345')))
  assert.equal(more.answer.text, '123')
  await eventually(() => /sent more than its Content-Length, the rest is dropped/.test(server.errorLog()))

  await assert.rejects(get(server.port, target([length(9), body(b('1234'))])))
  await eventually(() => /sent 5 bytes less than its Content-Length/.test(server.errorLog()))
  refused(await told(), {})
})

test('asgi messages: trailers that cannot be sent raise, and others may be sent in their place', async t => {
  const trailers = (name: string, value: string, more = false): Message => ({
    type: 'http.response.trailers',
    headers: [[b(name), b(value)]],
    more_trailers: more,
  })
  const messages = [
    start({ trailers: true }),
    body(b('all')),
    trailers('x-sum', 'a\r\nx-other: b'),
    trailers('x-first', 'a', true),
    trailers('x-sum', 'a\0b', true),
    trailers('connection', 'close', true),
    trailers('x-sum', 'right'),
    trailers('x-late', 'c'),
  ]
  const server = await usual()
  const client = await raw(t, server.port)
  await client.send(`GET ${target(messages)} HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\n\r\n`)
  const head = await client.until('\r\n\r\n')
  assert.match(head, /^transfer-encoding: chunked\r$/im)
  assert.equal(await client.until('\r\n\r\n'), '3\r\nall\r\n0\r\nx-first: a\r\nx-sum: right\r\n\r\n')
  const held = /^HeadError: a trailer holds a control character/
  refused(await told(), { 2: held, 4: held, 7: /^RuntimeError: .*out of its turn/ })
})

test('asgi messages: a websocket that is closed without a code is closed with 1000', async t => {
  const server = await usual()
  for (const more of [{}, { code: null, reason: null }]) {
    const client = await raw(t, server.port)
    await client.send(handshake([accept(), close(more)]))
    await client.until('\r\n\r\n')
    const frame = '\x88\x02\x03\xe8'
    assert.equal(await client.until(frame), frame)
    refused(await told(), {})
  }
})

test('asgi messages: a websocket’s are held to their turn', async t => {
  const response = { type: 'websocket.http.response.start', status: 402, headers: [] }
  const turn = /^RuntimeError: .*out of its turn/
  const before = /^RuntimeError: .*before "websocket.accept"/
  const { head, results } = await talk(t, [
    say({ text: 'early' }),
    { type: 'websocket.nonsense' },
    accept({ subprotocol: 'other' }),
    accept({ headers: [[b('Sec-WebSocket-Protocol'), b('chat')]] }),
    accept({ headers: [[b('x'), b('a\nb')]] }),
    accept({
      subprotocol: 'chat',
      headers: [
        [b('Sec-WebSocket-Accept'), b('mine')],
        [b('x'), b('y')],
      ],
    }),
    accept(),
    response,
    say({}),
    say({ text: 'both', bytes: b('both') }),
    say({ text: 7 }),
    say({ text: 'right' }),
    close({ code: 70_000 }),
    close({ code: 3000, reason: 'done' }),
    close(),
    say({ text: 'late' }),
  ])
  const either = /^ValueError: .*needs either "text" or "bytes"/
  const gone = /^OSError: /
  refused(results, {
    0: before,
    1: /^ValueError: unknown message/,
    2: /^ValueError: subprotocol "other" was not offered/,
    3: /^HeadError: .*set by "subprotocol"/,
    4: /^HeadError: /,
    6: turn,
    7: turn,
    8: either,
    9: either,
    10: /^TypeError: "text" is int instead of str/,
    12: /^ValueError: close code 70000/,
    14: gone,
    15: gone,
  })
  assert.match(head, /^HTTP\/1\.1 101 /)
  assert.match(head, /^sec-websocket-protocol: chat\r$/im)
  assert.match(head, /^sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r$/im)
  assert.doesNotMatch(head, /mine/)
  assert.match(head, /^x: y\r$/m)
})

test('asgi messages: a websocket that is refused with a response of its own can say nothing else', async t => {
  const part = (text: string, more: boolean): Message => ({
    type: 'websocket.http.response.body',
    body: b(text),
    more_body: more,
  })
  const turn = /^RuntimeError: .*out of its turn/
  const { head, results } = await talk(t, [
    part('early', false),
    { type: 'websocket.http.response.start', status: 402, headers: [] },
    accept(),
    close(),
    say({ text: 'no' }),
    { type: 'websocket.http.response.start', status: 403, headers: [] },
    part('pay', false),
  ])
  refused(results, { 0: turn, 2: turn, 3: turn, 4: /^RuntimeError: /, 5: turn })
  assert.match(head, /^HTTP\/1\.1 402 /)
})
