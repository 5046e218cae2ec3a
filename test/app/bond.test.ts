// Who is bound to which worker by a text.

import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32 } from 'node:zlib'
import { fitness } from '../../src/app/dispatch/bond.ts'

const KEYS = Array.from({ length: 6000 }, (_, i) => crc32(`10.0.${i >> 8}.${i & 255}`))

function homeOf(hash: number, places: readonly number[]): number {
  const numbers = places.map(place => fitness({ place: -1, hash }, place))
  return places[numbers.indexOf(Math.max(...numbers))]!
}

for (const workers of [2, 3, 5, 16])
  test(`bonds: ${workers} workers have as many clients each`, () => {
    const places = Array.from({ length: workers }, (_, place) => place)
    const counts = places.map(() => 0)
    for (const hash of KEYS) counts[homeOf(hash, places)]!++
    for (const count of counts) assert.ok(Math.abs(count / (KEYS.length / workers) - 1) < 0.2, counts.join(' '))
  })

test('bonds: when a worker goes only its own clients move, and they are spread', () => {
  const moved = new Map<number, number>()
  for (const hash of KEYS) {
    const [before, after] = [homeOf(hash, [0, 1, 2, 3]), homeOf(hash, [0, 1, 3])]
    if (before === 2) moved.set(after, (moved.get(after) ?? 0) + 1)
    else assert.equal(after, before)
  }
  assert.equal(moved.size, 3)
  assert.ok([...moved.values()].every(count => count > KEYS.length / 4 / 3 / 2))
})
