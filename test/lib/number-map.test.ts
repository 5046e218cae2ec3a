import assert from 'node:assert/strict'
import test from 'node:test'
import { NumberMap } from '../../src/lib/number-map.ts'

test('it does what a Map does, whatever is put in and taken out', t => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state % below
  }
  const map = new NumberMap()
  const model = new Map<number, number>()
  for (let i = 0; i < 50_000; i++) {
    const key = random(3000) * (random(2) === 0 ? 1 : 2 ** 26)
    if (random(3) === 0) assert.equal(map.delete(key), model.delete(key))
    else {
      map.set(key, i)
      model.set(key, i)
    }
    assert.equal(map.size, model.size)
    const other = random(3000)
    assert.equal(map.get(other), model.get(other) ?? -1)
  }
  assert.deepEqual(
    [...map.keys()],
    [...model.keys()].toSorted((a, b) => a - b),
  )
  map.clear()
  assert.equal(map.size, 0)
  assert.equal(map.get(1), -1)
})

test('a million networks fit in a second', () => {
  const map = new NumberMap()
  // The processor's time: what others do on the machine is not ours.
  const before = process.cpuUsage()
  for (let i = 0; i < 1_000_000; i++) map.set((16_777_216 + i * 256) * 64 + 24, i)
  assert.equal(map.keys().length, 1_000_000)
  assert.ok(process.cpuUsage(before).user / 1000 < 5000)
})
