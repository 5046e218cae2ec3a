import assert from 'node:assert/strict'
import test from 'node:test'
import { escapeKey, getRequest, parseLine } from '../../src/codec/memcached.ts'
import { bytes, mutate, Random, seed } from './h1/feeding.ts'

const start = seed()

test('a key cannot end its line', () => {
  assert.equal(getRequest(escapeKey('/a b%\r\nflush_all')), 'get /a%20b%25%0D%0Aflush_all\r\n')
})

test('a value’s line tells its flags and length', () => {
  assert.deepEqual(parseLine('VALUE /a 3 10', '/a', true), { flags: 3, length: 10 })
  assert.equal(parseLine('END', '/a', true), null)
})

test('flags are read by who needs them', () => {
  assert.deepEqual(parseLine('VALUE /a 99999999999 1', '/a', true), { flags: 99999999999, length: 1 })
  assert.deepEqual(parseLine('VALUE /a x 1', '/a', false), { flags: 0, length: 1 })
  assert.match(parseLine('VALUE /a  1', '/a', true) as string, /invalid flags/)
})

test('what is wrong is told', () => {
  assert.equal(parseLine('ERROR', '/', true), 'memcached sent invalid response: "ERROR"')
  assert.equal(
    parseLine('VALUE /b 0 1', '/a', true),
    'memcached sent invalid key in response "VALUE /b 0 1" for key "/a"',
  )
  assert.match(parseLine('VALUE /a x 1', '/a', true) as string, /invalid flags/)
  assert.match(parseLine('VALUE /a 0 1 2', '/a', true) as string, /invalid length/)
  assert.match(parseLine('VALUE /ab 0 1', '/a', true) as string, /invalid response/)
})

test(`any line is a value, none, or refused (FUZZ_SEED=${start})`, () => {
  const random = new Random(start)
  const line = bytes('VALUE /key 12 345')
  for (let i = 0; i < 2000; i++) {
    const found = parseLine(mutate(line, line, random).toString('latin1'), '/key', i % 2 === 0)
    if (found === null || typeof found === 'string') continue
    assert.ok(Number.isSafeInteger(found.flags) && Number.isSafeInteger(found.length) && found.length >= 0)
  }
})
