import assert from 'node:assert/strict'
import test from 'node:test'
import { freshnessOf } from '../../../src/http/cache/freshness.ts'
import { IGNORE_CACHE_CONTROL, IGNORE_SET_COOKIE, IGNORE_VARY } from '../../../src/http/upstream/settings.ts'

const NOW = 1_800_000_000
const later = new Date((NOW + 60) * 1000).toUTCString()
const before = new Date((NOW - 60) * 1000).toUTCString()

/** Seconds it is fresh; -1: it must not be kept. */
function life(fields: Record<string, string>, ignored = 0): number {
  const { cacheable, validSec } = freshnessOf(Object.keys(fields), Object.values(fields), ignored, NOW)
  return cacheable ? (validSec === 0 ? 0 : validSec - NOW) : -1
}

test('Cache-Control says how long, s-maxage before max-age', () => {
  assert.equal(life({ 'cache-control': 'max-age=10' }), 10)
  assert.equal(life({ 'cache-control': 'Max-Age=10, S-MaxAge=20' }), 20)
  assert.equal(life({ 'cache-control': 'public' }), 0)
  assert.equal(life({ 'cache-control': 'max-age=1x' }), -1)
  for (const word of ['no-cache', 'no-store', 'Private', 'max-age=0', 's-maxage=0, max-age=9']) {
    assert.equal(life({ 'cache-control': word }), -1, word)
  }
  assert.equal(life({ 'cache-control': 'no-store' }, IGNORE_CACHE_CONTROL), 0)
})

test('Expires counts where Cache-Control says nothing', () => {
  assert.equal(life({ expires: later }), 60)
  assert.equal(life({ expires: before }), -1)
  assert.equal(life({ expires: '0' }), -1)
  assert.equal(life({ expires: before, 'cache-control': 'max-age=5' }), 5)
  assert.equal(life({ expires: later, 'cache-control': 'max-age=5' }), 5)
  assert.equal(life({ 'cache-control': 'max-age=5', expires: before }), 5)
})

test('X-Accel-Expires is above both', () => {
  assert.equal(life({ 'x-accel-expires': '7', 'cache-control': 'no-store' }), 7)
  assert.equal(life({ 'cache-control': 'no-store', 'x-accel-expires': '7' }), 7)
  assert.equal(life({ 'x-accel-expires': `@${NOW + 9}`, expires: before }), 9)
  assert.equal(life({ 'x-accel-expires': '0', 'cache-control': 'max-age=9' }), -1)
  assert.equal(life({ 'x-accel-expires': 'soon', 'cache-control': 'max-age=9' }), 9)
  // The time 0 undoes what was said before, and says nothing itself.
  assert.equal(life({ expires: before, 'x-accel-expires': '@0' }), 0)
  assert.equal(life({ 'x-accel-expires': '@0', 'cache-control': 'max-age=5' }), 5)
  assert.equal(life({ 'x-accel-expires': 'soon', expires: later, 'cache-control': 'no-store' }), 60)
})

test('of X-Accel-Expires and Expires, which are not lists, the first one counts', () => {
  const first = (name: string, ...values: string[]): number => {
    const { cacheable, validSec } = freshnessOf(
      values.fill(name, 0, 0).map(() => name),
      values,
      0,
      NOW,
    )
    return cacheable ? validSec - NOW : -1
  }
  assert.equal(first('x-accel-expires', '5', '0'), 5)
  assert.equal(first('x-accel-expires', '0', '5'), -1)
  assert.equal(first('expires', before, later), -1)
})

test('stale-while-revalidate and stale-if-error are read', () => {
  const found = (value: string) => {
    const { updatingSec, errorSec } = freshnessOf(['cache-control'], [value], 0, NOW)
    return [updatingSec, errorSec]
  }
  assert.deepEqual(found('max-age=1, stale-while-revalidate=30'), [30, 30])
  assert.deepEqual(found('max-age=1, stale-while-revalidate=30, stale-if-error=90'), [30, 90])
  assert.equal(life({ 'cache-control': 'max-age=5, stale-if-error=long' }), -1)
  assert.equal(life({ 'cache-control': 's-maxage=x, s-maxage=5' }), -1)
})

test('cookies and Vary: * keep a response from being kept', () => {
  assert.equal(life({ 'set-cookie': 'a=b', 'cache-control': 'max-age=9' }), -1)
  assert.equal(life({ 'set-cookie': 'a=b', 'cache-control': 'max-age=9' }, IGNORE_SET_COOKIE), 9)
  assert.equal(life({ vary: '*', 'cache-control': 'max-age=9' }), -1)
  assert.equal(life({ vary: 'a, *', 'cache-control': 'max-age=9' }), -1)
  assert.equal(life({ vary: 'a*', 'cache-control': 'max-age=9' }), 9)
  assert.equal(life({ vary: '*', 'cache-control': 'max-age=9' }, IGNORE_VARY), 9)
  assert.equal(freshnessOf(['vary', 'vary'], ['A', 'b, c'], 0, NOW).vary, 'A, b, c')
})

test('whatever the fields say, the numbers are numbers, from a seed', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 1e9))
  console.log(`FUZZ_SEED=${seed}`)
  let state = seed >>> 0
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 4294967296) * below)
  }
  const names = ['cache-control', 'expires', 'vary', 'set-cookie', 'x-accel-expires', 'age']
  const words = [
    'max-age=',
    's-maxage=',
    'stale-if-error=',
    '9',
    '99999999999999999999',
    '-1',
    ',',
    ' ',
    ';',
    '@',
    '*',
    later,
    'private',
    '"',
    '=',
  ]
  for (let round = 0; round < 5000; round++) {
    const count = random(5)
    const fields = Array.from({ length: count }, () => names[random(names.length)]!)
    const values = fields.map(() => Array.from({ length: random(6) }, () => words[random(words.length)]!).join(''))
    const found = freshnessOf(fields, values, random(512), NOW)
    for (const number of [found.validSec, found.updatingSec, found.errorSec]) assert.ok(number >= 0, values.join('|'))
    assert.ok(found.vary.length <= 128)
  }
})
