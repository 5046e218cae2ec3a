import assert from 'node:assert/strict'
import test from 'node:test'
import { A, AAAA, makeQuery, parseResponse, PTR, refusal, SRV } from '../../src/codec/dns.ts'
import { answerTo, record } from '../helpers/dns.ts'
import { Random, seed } from './h1/feeding.ts'

const start = seed()

test('a query asks for one name, and there are names that cannot be asked for', () => {
  const query = makeQuery(0x1234, 'a.example', A)!
  assert.equal(query.toString('latin1'), '\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01')
  for (const name of ['', 'a..b', '.a', 'x'.repeat(64), 'a.'.repeat(200)])
    assert.equal(makeQuery(1, name, A), null, name)
})

test('addresses, aliases and services of an answer, and how long it is true', () => {
  const query = makeQuery(7, 'WWW.example', A)!
  const a = parseResponse(
    answerTo(query, [record(5, 30, '\x05other\xc0\x10'), record(A, 60, '\x7f\0\0\x01'), record(A, 90, '\x7f\0\0\x02')]),
  )!
  assert.deepEqual([a.id, a.code, a.name, a.alias, a.ttl], [7, 0, 'www.example', 'other.example', 30])
  assert.deepEqual(a.addresses, ['127.0.0.1', '127.0.0.2'])
  const v6 = parseResponse(answerTo(makeQuery(7, 'x', AAAA)!, [record(AAAA, 1, `\x20\x01${'\0'.repeat(13)}\x05`)]))!
  assert.deepEqual(v6.addresses, ['2001::5'])
  const srv = parseResponse(answerTo(makeQuery(7, 'x', SRV)!, [record(SRV, 1, '\0\x01\0\x02\x1f\x90\x01h\0')]))!
  assert.deepEqual(srv.services, [{ priority: 1, weight: 2, port: 8080, name: 'h' }])
})

test('errors and what is cut off have no answer', () => {
  const query = makeQuery(7, 'x', A)!
  assert.equal(parseResponse(answerTo(query, [], 0x8183))!.code, 3)
  const cut = parseResponse(answerTo(query, [record(A, 1, '\x7f\0\0\x01')], 0x8380))!
  assert.deepEqual([cut.truncated, cut.addresses], [true, []])
})

test('what is broken is refused', () => {
  const query = makeQuery(7, 'x', A)!
  assert.equal(parseResponse(query), null)
  assert.equal(parseResponse(answerTo(query, [record(A, 1, '')])), null)
  assert.equal(parseResponse(answerTo(query, [record(5, 1, '\xc0\x1c')])), null)
  assert.equal(parseResponse(Buffer.alloc(5)), null)
})

test('what is wrong with a response is told in nginx’s words', () => {
  const query = makeQuery(7, 'x', A)!
  const good = answerTo(query, [record(A, 1, '\x7f\0\0\x01')])
  const altered = (at: number, byte: number): Buffer => {
    const bytes = Buffer.from(good)
    bytes[at] = byte
    return bytes
  }
  const reasons: readonly (readonly [Buffer, string])[] = [
    [query, 'invalid UDP DNS response 7 fl:0100'],
    [answerTo(query, [], 0x81a0), 'invalid UDP DNS response 7 fl:81A0'],
    [altered(5, 2), 'invalid number of questions in DNS response'],
    [altered(12, 0), 'zero-length domain name in DNS response'],
    [altered(12, 0xc0), 'unexpected compression pointer in DNS response'],
    [altered(16, 16), 'unknown query type 16 in DNS response'],
    [altered(18, 3), 'unknown query class 3 in DNS response'],
    [altered(24, 3), 'unexpected RR class 3 in DNS response'],
    [altered(22, AAAA), 'unexpected AAAA record in DNS response'],
    [answerTo(query, [record(A, 1, '123')]), 'invalid A record in DNS response'],
    [answerTo(makeQuery(7, 'x', PTR)!, [record(A, 1, '1234')]), 'no PTR type in DNS response'],
    [good.subarray(0, -1), 'short DNS response'],
  ]
  for (const [bytes, reason] of reasons) {
    assert.equal(parseResponse(bytes), null, reason)
    assert.equal(refusal.reason, reason)
  }
  assert.equal(parseResponse(answerTo(query, [], 0x8380), true), null)
  assert.equal(refusal.reason, 'invalid TCP DNS response 7 fl:8380')
  const odd = parseResponse(answerTo(query, [record(16, 1, 'text')]))!
  assert.deepEqual(odd.oddities, ['unexpected RR type 16 in DNS response'])
})

test(`fuzz: any message is read or refused (seed ${start})`, () => {
  const whole = answerTo(makeQuery(7, 'www.example', A)!, [
    record(5, 30, '\x05other\xc0\x10'),
    record(A, 60, '\x7f\0\0\x01'),
    record(SRV, 1, '\0\x01\0\x02\x1f\x90\x01h\0'),
  ])
  for (let n = 0; n < 30000; n++) {
    const random = new Random(start + n)
    const bytes = Buffer.from(whole.subarray(0, random.below(4) === 0 ? random.below(whole.length) : whole.length))
    for (let i = random.below(5); i > 0 && bytes.length > 0; i--) bytes[random.below(bytes.length)] = random.below(256)
    const answer = parseResponse(bytes)
    if (answer === null) continue
    assert.ok(answer.name.length <= 255 && answer.alias.length <= 255 && answer.ttl >= 0, `FUZZ_SEED=${start + n}`)
  }
})
