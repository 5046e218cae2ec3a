// Seeded fuzzers: changed messages are read or refused in the declared way, and split input reads as whole input does.

import test from 'node:test'
import assert from 'node:assert/strict'
import { parseUri, Uri } from '../../../src/codec/h1/uri.ts'
import { feedChunks, feedRequest, feedResponse, mutate, Random, seed, wireFiles, LIMITS, bytes } from './feeding.ts'
import type { Arrival } from './feeding.ts'

const ROUNDS = 6000
const STATUSES = [-400, -405, -414, -494, -501, -505]
const start = seed()
const corpus = [...wireFiles('valid'), ...wireFiles('invalid')].map(wire => wire.bytes).filter(b => b.length < 2000)
const responses = [
  'HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello',
  'HTTP/1.0 304 Not Modified\r\nETag: "x"\r\nX.Odd: 1\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'HTTP/1.1 200\nTransfer-Encoding: chunked\n\n5\r\nhello\r\n0\r\n\r\n',
].map(bytes)

// Tight limits too, so that their edges are met.
const tight = { ...LIMITS, lineMax: 48, fieldMax: 40, headMax: 160, fieldsMax: 4, ignoreInvalid: false }

function fuzz(seeds: Buffer[], check: (wire: Buffer, arrival: Arrival, random: Random) => void): void {
  for (let n = 0; n < ROUNDS; n++) {
    const random = new Random(start + n)
    const wire = mutate(seeds[random.below(seeds.length)]!, seeds[random.below(seeds.length)]!, random)
    const cuts = Array.from({ length: random.below(6) }, () => random.below(wire.length + 1)).sort((a, b) => a - b)
    const arrival = n % 8 === 0 ? Array.from(wire, (_, i) => i + 1) : [...cuts, wire.length]
    try {
      check(wire, arrival, random)
    } catch (error) {
      console.error(`FUZZ_SEED=${start + n}`, JSON.stringify(wire.toString('latin1')), arrival)
      throw error
    }
  }
}

test(`fuzz: a request head is read or refused with a declared status (seed ${start})`, () => {
  fuzz(corpus, (wire, arrival, random) => {
    const limits = random.below(3) === 0 ? tight : LIMITS
    const whole = feedRequest(wire, [wire.length], limits)
    if (whole.answer < 0) assert.ok(STATUSES.includes(whole.answer) && whole.error !== '')
    else assert.ok(whole.answer <= wire.length)
    assert.deepEqual(feedRequest(wire, arrival, limits), whole)
  })
})

test(`fuzz: strict_requests reads as usual or refuses (seed ${start})`, () => {
  const strict = { ...LIMITS, strict: true }
  fuzz(corpus, (wire, arrival) => {
    const whole = feedRequest(wire, [wire.length], strict)
    assert.deepEqual(feedRequest(wire, arrival, strict), whole)
    if (!('method' in whole)) return
    if (/^[A-Z_-]+$/.test(whole.method)) assert.deepEqual(whole, feedRequest(wire, [wire.length]))
    assert.equal(bytes(whole.requestLine).length, `${whole.method} ${whole.target} HTTP/1.1`.length)
    assert.ok(!/(?<!\r)\n/.test(wire.toString('latin1', 0, whole.answer)))
  })
})

test(`fuzz: raw_requests reads what is taken otherwise in the same way (seed ${start})`, () => {
  const raw = { ...LIMITS, raw: true }
  fuzz(corpus, (wire, arrival) => {
    const whole = feedRequest(wire, [wire.length], raw)
    assert.deepEqual(feedRequest(wire, arrival, raw), whole)
    const usual = feedRequest(wire, [wire.length])
    if ('method' in usual) assert.deepEqual(whole, usual)
    if (!('method' in whole)) return
    // Nobody is left in doubt of where its body ends.
    assert.ok(!whole.chunked || (whole.contentLength === -1 && whole.version === 11))
  })
})

test(`fuzz: lenient_requests reads in any split alike (seed ${start})`, () => {
  const lenient = { ...LIMITS, raw: true, strict: true, lenient: 31 }
  fuzz(corpus, (wire, arrival, random) => {
    // Lines that go on are not in the corpus.
    const folded = wire
      .toString('latin1')
      .replaceAll(/\r\n(?=[a-z])/gi, end => (random.below(3) === 0 ? `${end} ` : end))
    const bent = bytes(folded.slice(0, wire.length))
    const steps = arrival.filter(at => at < bent.length)
    const whole = feedRequest(bent, [bent.length], lenient)
    assert.deepEqual(feedRequest(bent, [...steps, bent.length], lenient), whole)
    if (!('method' in whole)) return
    for (const value of whole.values) assert.doesNotMatch(value, /[\r\n]/)
  })
})

test(`fuzz: what was accepted is accepted again when written anew (seed ${start})`, () => {
  fuzz(corpus, wire => {
    const read = feedRequest(wire, [wire.length])
    if (!('method' in read) || read.version === 9) return
    const lines = read.originals.map((name, i) => `${name}: ${read.values[i]!}\r\n`)
    const again = feedRequest(bytes(`${read.method} ${read.target} ${read.protocol}\r\n${lines.join('')}\r\n`), [1e6])
    assert.ok('method' in again)
    assert.deepEqual([again.names, again.values, again.host], [read.names, read.values, read.host])
    assert.deepEqual([again.contentLength, again.chunked], [read.contentLength, read.chunked])
    assert.ok(Buffer.from(read.values.join(''), 'latin1').every(c => (c > 31 && c !== 127) || c === 9))
  })
})

test(`fuzz: a response head is read or refused (seed ${start})`, () => {
  fuzz(responses, (wire, arrival, random) => {
    const limits = random.below(3) === 0 ? tight : LIMITS
    const whole = feedResponse(wire, [wire.length], limits)
    if (whole.answer < 0) assert.ok([-1, -2].includes(whole.answer) && whole.error !== '')
    assert.deepEqual(feedResponse(wire, arrival, limits), whole)
  })
})

test(`fuzz: a chunked body is decoded or refused (seed ${start})`, () => {
  const bodies = corpus
    .filter(wire => wire.includes('chunked'))
    .map(wire => wire.subarray(wire.indexOf('\r\n\r\n') + 4))
  fuzz(bodies, (wire, arrival) => {
    const whole = feedChunks(wire, [wire.length])
    assert.ok(
      whole.answer === -1
        ? whole.error !== ''
        : whole.done
          ? whole.answer <= wire.length
          : whole.answer === wire.length || wire.length === 0,
    )
    assert.deepEqual(feedChunks(wire, arrival), whole)
  })
})

test(`fuzz: a normalised path is absolute and stays below the root (seed ${start})`, () => {
  const paths = ['/a/b/c?x=y', '/a/../b/./c//d', '/%2e%2E/%2f%25', '/a%00b', '//..//a/..?#', '/a#b'].map(bytes)
  const uri = new Uri()
  fuzz(paths, wire => {
    const target = '/' + wire.toString('latin1')
    for (const merge of [true, false]) {
      if (!parseUri(target, merge, uri)) continue
      assert.equal(uri.uri[0], '/')
      assert.doesNotMatch(uri.uri, /\/\.\.?(\/|$)/)
      assert.ok(!uri.args.includes('#'))
      if (merge) assert.ok(!uri.uri.includes('//'))
    }
  })
})
