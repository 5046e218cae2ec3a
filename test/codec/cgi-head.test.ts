import assert from 'node:assert/strict'
import test from 'node:test'
import { parseCgiHead } from '../../src/codec/cgi-head.ts'
import { ResponseHead } from '../../src/codec/h1/response-head.ts'
import { bytes, LIMITS, mutate, Random, seed } from './h1/feeding.ts'
import type { Arrival } from './h1/feeding.ts'

const start = seed()

function feed(wire: Buffer, arrival: Arrival) {
  const head = new ResponseHead()
  let answer = 0
  for (const end of arrival) {
    answer = parseCgiHead(wire, 0, end, LIMITS, head)
    if (answer !== 0) break
  }
  if (answer <= 0) return { answer, error: head.error }
  const { code, statusText, names, values, contentLength, chunked } = head
  return { answer, code, statusText, names: [...names], values: [...values], contentLength, chunked }
}
const whole = (text: string) => feed(bytes(text), [text.length])

test('Status is the status line', () => {
  const head = whole('Status: 404 Not There\r\nX-A: b\r\n\r\nbody')
  assert.deepEqual([head.code, head.statusText, head.answer], [404, '404 Not There', 33])
  assert.equal(whole('Status: 204\n\n').code, 204)
  assert.deepEqual([whole('Status: 404\n\n').code, whole('Status: 404\n\n').statusText], [404, ''])
})

test('without one a Location means 302, and anything else 200', () => {
  assert.deepEqual(
    [whole('Location: /a\n\n').code, whole('Location: /a\n\n').statusText],
    [302, '302 Moved Temporarily'],
  )
  assert.deepEqual([whole('A: b\n\n').code, whole('A: b\n\n').statusText], [200, '200 OK'])
  assert.equal(whole('\r\n').code, 200)
})

test('a status that is no number is refused, and so is what HTTP refuses', () => {
  assert.equal(whole('Status: none\n\n').error, 'upstream sent invalid status "none"')
  assert.equal(whole('Status: 20\n\n').error, 'upstream sent invalid status "20"')
  assert.match(whole('A\0: b\n\n').error!, /^upstream sent invalid header: /)
  assert.match(whole('Content-Length: 1\nContent-Length: 1\n\n').error!, /^upstream sent duplicate header line/)
})

const HEADS = ['Status: 201 Made\r\nContent-Length: 5\r\nX: y\r\n\r\nbody', 'Location: /\nA_b: c\n\n', '\n\n'].map(
  bytes,
)

test(`any bytes are read alike whole and byte by byte (FUZZ_SEED=${start})`, () => {
  const random = new Random(start)
  for (let i = 0; i < 3000; i++) {
    const wire = mutate(HEADS[i % HEADS.length]!, HEADS[random.below(HEADS.length)]!, random)
    if (wire.length === 0) continue
    const each = Array.from({ length: wire.length }, (_, n) => n + 1)
    assert.deepEqual(feed(wire, each), feed(wire, [wire.length]))
  }
})
