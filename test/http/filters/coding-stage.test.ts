import assert from 'node:assert/strict'
import test from 'node:test'
import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import { brotliCoder, gunzipCoder, gzipCoder, zstdCoder, type Coder } from '../../../src/http/filters/coder.ts'
import { CodingStage } from '../../../src/http/filters/coding-stage.ts'
import { BodyStage, FLUSH, LAST, type Source } from '../../../src/http/output.ts'
import type { HttpRequest } from '../../../src/http/request.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 1e9))
let state = seed
function random(below: number): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return (state >>> 8) % below
}

/** A client that is ready as often as not. */
class Client extends BodyStage {
  readonly pieces: Buffer[] = []
  ended = false
  ready = true
  write(_r: HttpRequest, bytes: Buffer, flags: number): boolean {
    assert.ok(this.ready, 'written to a client that was not ready')
    assert.ok(!this.ended, 'written behind the end')
    this.pieces.push(bytes)
    if ((flags & LAST) !== 0) this.ended = true
    this.ready = random(2) === 0
    return this.ready
  }
}

/** Sends the pieces through the stage, each from memory that is used again, and never before it is asked for. */
function coded(pieces: readonly Buffer[], coder: Coder): Buffer {
  const stage = new CodingStage('test', () => coder)
  const client = new Client()
  const next = [...pieces]
  const request = { done: false, source: null as Source | null } as unknown as HttpRequest
  const give = (): void => {
    let ready = true
    while (ready && next.length > 0) {
      const chunk = Buffer.from(next.shift()!)
      const flags = (next.length === 0 ? LAST : 0) | (random(4) === 0 ? FLUSH : 0)
      ready = stage.writeVolatile(request, chunk, flags)
      chunk.fill(0)
    }
  }
  request.source = { drain: give, abort() {} }
  stage.next = client
  give()
  while (!client.ended) {
    client.ready = true
    stage.drain(request)
  }
  stage.destroy(request)
  return Buffer.concat(client.pieces)
}

function body(): Buffer[] {
  return Array.from({ length: 1 + random(4) }, () => {
    const byte = random(256)
    return Buffer.from(Array.from({ length: random(3000) }, (_, i) => (random(3) === 0 ? byte : i)))
  })
}

test(`what is coded is decoded to the same, whatever the pieces and the client's pace (seed ${seed})`, () => {
  for (let round = 0; round < 60; round++) {
    const pieces = body()
    const whole = Buffer.concat(pieces)
    assert.deepEqual(gunzipSync(coded(pieces, gzipCoder(1 + random(9), 15, 8))), whole)
    if (round % 4 > 0) continue
    assert.deepEqual(brotliDecompressSync(coded(pieces, brotliCoder(random(6), 16))), whole)
    assert.deepEqual(zstdDecompressSync(coded(pieces, zstdCoder(1 + random(5)))), whole)
  }
})

test('what unpacks to much more is unpacked as fast as it is taken', () => {
  const whole = Buffer.alloc(3_000_000, 'x')
  const packed = gzipSync(whole)
  const cut = random(packed.length)
  assert.deepEqual(coded([packed.subarray(0, cut), packed.subarray(cut)], gunzipCoder()), whole)
  // Twice: the engine serves again.
  assert.deepEqual(coded([packed, gzipSync('behind it')], gunzipCoder()).length, whole.length + 9)
})
