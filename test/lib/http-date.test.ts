import assert from 'node:assert/strict'
import test from 'node:test'
import { formatHttpDate, NO_DATE, parseHttpDate } from '../../src/lib/http-date.ts'

const SECONDS = 784111777

test('the three forms of a date are read as the same moment', () => {
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), SECONDS)
  assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT'), SECONDS)
  assert.equal(parseHttpDate('Sun Nov  6 08:49:37 1994'), SECONDS)
  assert.equal(formatHttpDate(SECONDS), 'Sun, 06 Nov 1994 08:49:37 GMT')
})

test('names of months are read in any case', () => {
  assert.equal(parseHttpDate('Sun, 06 NOV 1994 08:49:37 GMT'), SECONDS)
  assert.equal(parseHttpDate('Sunday, 06-nov-94 08:49:37 GMT'), SECONDS)
})

test('what is no date is told apart from every date', () => {
  for (const text of [
    '',
    'yesterday',
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Tue, 29 Feb 1900 00:00:00 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    'Sun, 06 Foo 1994 08:49:37 GMT',
    'Wed, 31 Dec 1969 23:59:59 GMT',
  ]) {
    assert.equal(parseHttpDate(text), NO_DATE, text)
  }
})

test('a leap day is read in leap years alone', () => {
  assert.equal(parseHttpDate('Tue, 29 Feb 2000 00:00:00 GMT'), Date.UTC(2000, 1, 29) / 1000)
  assert.equal(parseHttpDate('Thu, 29 Feb 2001 00:00:00 GMT'), NO_DATE)
})

test('dates come back as they were written, and changed bytes never throw', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  let state = seed
  const random = (max: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >>> 8) % max
  }
  for (let i = 0; i < 5000; i++) {
    const seconds = random(4_000_000) * 1000 + random(1000)
    const text = formatHttpDate(seconds)
    assert.equal(parseHttpDate(text), seconds, `seed ${seed}`)
    const at = random(text.length)
    const broken = text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + random(3))
    const read = parseHttpDate(broken)
    assert.ok(Number.isInteger(read) && read >= NO_DATE, `seed ${seed}: ${broken}`)
  }
})
