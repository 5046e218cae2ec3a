import assert from 'node:assert/strict'
import test from 'node:test'
import { escapeKey, getRequest, parseLine } from '../../src/codec/memcached.ts'
import { bytes, mutate, Random, seed } from './h1/feeding.ts'

const start = seed()

test('a key cannot end its line', () => {
  assert.equal(getRequest(escapeKey('/a b%\r\nflush_all')), 'get /a%20b%25%0D%0Aflush_all\r\n')
})

test('a value’s line tells its flags and length', () => {
  assert.deepEqual(parseLine('VALUE /a 3 10', '/a'), { flags: 3, length: 10 })
  assert.equal(parseLine('END', '/a'), null)
})

test('what is wrong is told', () => {
  assert.equal(parseLine('ERROR', '/'), 'memcached sent invalid response: "ERROR"')
  assert.equal(parseLine('VALUE /b 0 1', '/a'), 'memcached sent invalid key in response "VALUE /b 0 1" for key "/a"')
  assert.match(parseLine('VALUE /a x 1', '/a') as string, /invalid flags/)
  assert.match(parseLine('VALUE /a 0 1 2', '/a') as string, /invalid length/)
  assert.match(parseLine('VALUE /ab 0 1', '/a') as string, /invalid response/)
})

test(`any line is a value, none, or refused (FUZZ_SEED=${start})`, () => {
  const random = new Random(start)
  const line = bytes('VALUE /key 12 345')
  for (let i = 0; i < 2000; i++) {
    const found = parseLine(mutate(line, line, random).toString('latin1'), '/key')
    if (found === null || typeof found === 'string') continue
    assert.ok(Number.isSafeInteger(found.flags) && Number.isSafeInteger(found.length) && found.length >= 0)
  }
})
