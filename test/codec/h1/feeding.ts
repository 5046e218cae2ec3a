// Ways to give bytes to a parser. Whatever way they come in, the result must be the same.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import assert from 'node:assert/strict'
import type { RequestLimits } from '../../../src/codec/h1/head.ts'
import { ChunkedDecoder } from '../../../src/codec/h1/chunked.ts'
import type { Side } from '../../../src/codec/h1/chunked.ts'
import { parseRequestHead, RequestHead } from '../../../src/codec/h1/request-head.ts'
import { parseResponseHead, ResponseHead } from '../../../src/codec/h1/response-head.ts'

export const LIMITS: RequestLimits = {
  lineMax: 8192,
  fieldMax: 8192,
  headMax: 32768,
  fieldsMax: 100,
  underscores: false,
  ignoreInvalid: true,
  strict: false,
  hostRequired: true,
  raw: false,
  lenient: 0,
}

/** Behind a message may stand anything. */
export const STRANGER = Buffer.from('\r\n\0X: y\r\n\r\nGET /next HTTP/1.1\r\nHost: n\r\n\r\n', 'latin1')

export interface Wire {
  readonly name: string
  readonly bytes: Buffer
}

export function wireFiles(folder: 'valid' | 'invalid'): Wire[] {
  const path = join(import.meta.dirname, '../../wire', folder)
  return readdirSync(path)
    .sort()
    .map(file => ({ name: file.replace('.http', ''), bytes: readFileSync(join(path, file)) }))
}

export function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** How the bytes arrive: after how many of them the parser is called. Always ends with all of them. */
export type Arrival = readonly number[]

export function* arrivals(length: number): Generator<Arrival> {
  yield [length]
  yield Array.from({ length }, (_, i) => i + 1)
  // Every place to split a short message at; of a long one, a choice of them.
  const step = Math.max(1, length >> 9)
  for (let at = 1; at < length; at += step) yield [at, length]
}

function requestFields(answer: number, head: RequestHead) {
  if (answer <= 0) return { answer, error: head.error, host: answer === 0 ? null : head.host }
  const originals = head.names.map((_, i) => head.originalName(i))
  assert.equal(head.names.length, head.count)
  assert.equal(head.values.length, head.count)
  const { method, target, path, version, protocol, names, values, requestLine, host, port, dropped } = head
  const { contentLength, chunked, keepAlive, expectContinue, upgrade, hostIndex, connectionIndex, cookieIndex } = head
  const line = { method, target, path, version, protocol, requestLine, host, port }
  const fields = { names: [...names], values: [...values], originals, dropped, hostIndex, connectionIndex, cookieIndex }
  const framing = { contentLength, chunked, keepAlive, expectContinue, upgrade }
  return { answer, error: head.error, ...line, ...fields, ...framing }
}

/** Feeds a head the given way. A fresh Buffer, elsewhere in memory, each time: nothing may be remembered by place. */
export function feedRequest(wire: Buffer, arrival: Arrival, limits = LIMITS, head = new RequestHead()) {
  let answer = 0
  for (const [n, end] of arrival.entries()) {
    const shift = n % 3
    const at = Buffer.concat([Buffer.alloc(shift, 0x0d), wire.subarray(0, end)])
    answer = parseRequestHead(at, shift, at.length, limits, head)
    if (answer !== 0) break
  }
  return requestFields(answer, head)
}

export function feedResponse(wire: Buffer, arrival: Arrival, limits = LIMITS, head = new ResponseHead()) {
  let answer = 0
  for (const end of arrival) {
    answer = parseResponseHead(wire, 0, end, limits, head)
    if (answer !== 0) break
  }
  if (answer <= 0) return { answer, error: head.error }
  const originals = head.names.map((_, i) => head.originalName(i))
  const { code, statusText, version, names, values, contentLength, chunked, keepAlive, upgrade } = head
  const framing = { contentLength, chunked, keepAlive, upgrade }
  return {
    answer,
    error: head.error,
    code,
    statusText,
    version,
    names: [...names],
    values: [...values],
    originals,
    ...framing,
  }
}

/** Feeds a chunked body; pieces are given once, not again from the start. */
export function feedChunks(wire: Buffer, arrival: Arrival, side: Side = 'request') {
  const decoder = new ChunkedDecoder(side)
  const parts: Buffer[] = []
  const sink = {
    onBody: (b: Buffer, start: number, end: number) => void parts.push(Buffer.from(b.subarray(start, end))),
  }
  let from = 0
  let answer = 0
  for (const end of arrival) {
    answer = decoder.feed(wire, from, end, sink)
    if (answer === -1 || decoder.done) break
    assert.equal(answer, end)
    from = end
  }
  const body = Buffer.concat(parts).toString('latin1')
  return { answer, done: decoder.done, error: decoder.error, trailers: decoder.trailers, body }
}

/** The whole message: head, then body as the head says. Answers the bytes it took, or a negative status. */
export function readRequest(wire: Buffer): number {
  const head = new RequestHead()
  const answer = parseRequestHead(wire, 0, wire.length, LIMITS, head)
  if (answer <= 0) return answer
  if (head.chunked) {
    const body = feedChunks(wire.subarray(answer), [wire.length - answer])
    if (body.answer === -1) return -400
    return body.done ? answer + body.answer : 0
  }
  return answer + Math.max(0, head.contentLength)
}

/** Small reproducible random numbers (mulberry32). */
export class Random {
  state: number
  constructor(seed: number) {
    this.state = seed >>> 0
  }
  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

export function seed(): number {
  const given = process.env['FUZZ_SEED']
  return given === undefined ? (Math.random() * 2 ** 32) >>> 0 : Number(given)
}

const SPICE = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  '\x0b',
  '\x7f',
  '\xff',
  '0',
  '5',
  'f',
  ',',
  '%',
  '/',
  '..',
  '_',
  '(',
]
  .concat([
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Host: h\r\n',
    '\r\n\r\n',
    'HTTP/1.1',
    '\r\n ',
    '#',
    '?',
  ])
  .map(bytes)

/** A few bytes changed, put in, taken out, doubled or exchanged with those of another message. */
export function mutate(wire: Buffer, other: Buffer, random: Random): Buffer {
  let out = wire
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = random.below(out.length + 1)
    const to = Math.min(out.length, at + 1 + random.below(8))
    const spice = random.below(3) === 0 ? Buffer.from([random.below(256)]) : SPICE[random.below(SPICE.length)]!
    switch (random.below(5)) {
      case 0:
        out = Buffer.concat([out.subarray(0, at), spice, out.subarray(at)])
        break
      case 1:
        out = Buffer.concat([out.subarray(0, at), spice, out.subarray(to)])
        break
      case 2:
        out = Buffer.concat([out.subarray(0, at), out.subarray(to)])
        break
      case 3:
        out = Buffer.concat([out.subarray(0, to), out.subarray(at)])
        break
      default:
        out = Buffer.concat([out.subarray(0, at), other.subarray(random.below(other.length + 1))])
    }
  }
  return out
}
