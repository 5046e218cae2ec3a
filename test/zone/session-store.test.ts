import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import { SharedSessions, tableBytes } from '../../src/zone/session-store.ts'
import { SharedKeys, TICKET_KEYS_BYTES } from '../../src/zone/ticket-keys.ts'
import { SharedText } from '../../src/zone/shared-text.ts'

const ZONE = 65536

function memories(): [SharedArrayBuffer, SharedArrayBuffer] {
  const table = tableBytes(ZONE)
  return [new SharedArrayBuffer(table), new SharedArrayBuffer(Math.floor((ZONE - table) / 256) * 256)]
}

test('what one thread saves another loads, until it is removed', () => {
  const [table, blocks] = memories()
  const [one, other] = [new SharedSessions(table, blocks, 60), new SharedSessions(table, blocks, 60)]
  for (const size of [1, 251, 252, 253, 504, 505, 4096]) {
    const session = randomBytes(size)
    one.save('id', session)
    assert.deepEqual(other.load('id'), session, `${size} bytes`)
  }
  assert.equal(other.load('none'), null)
  other.remove('id')
  assert.equal(one.load('id'), null)
  one.save('huge', randomBytes(4097))
  assert.equal(one.load('huge'), null)
})

test('the oldest make room, and those whose time is over are gone', () => {
  const [table, blocks] = memories()
  const store = new SharedSessions(table, blocks, 60)
  const sessions = Array.from({ length: 2000 }, (_, i) => Buffer.from(`${i}`.repeat(50)))
  sessions.forEach((session, i) => store.save(`${i}`, session))
  assert.equal(store.load('0'), null)
  assert.deepEqual(store.load('1999'), sessions[1999])
  const kept = sessions.filter((session, i) => store.load(`${i}`)?.equals(session)).length
  assert.ok(kept > 100 && kept < 300, `${kept} kept`)
  for (let i = 0; i < 2000; i++) store.remove(`${i}`)
  assert.equal(store.load('1999'), null)
  const brief = new SharedSessions(...memories(), -1)
  brief.save('a', Buffer.from('a'))
  assert.equal(brief.load('a'), null)
})

test('keys are the same in all threads, and stay as long as there is no period', () => {
  const memory = new SharedArrayBuffer(TICKET_KEYS_BYTES)
  const [one, other] = [new SharedKeys(memory, 0), new SharedKeys(memory, 0)]
  assert.deepEqual(one.current(), other.current())
  assert.equal(one.current()[0]!.length, 80)
  assert.equal(one.current(), one.current())
})

test('when a period is over there is a new key, and the last one is still known', t => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000_000 })
  const keys = new SharedKeys(new SharedArrayBuffer(TICKET_KEYS_BYTES), 300)
  const [first] = keys.current()
  t.mock.timers.tick(300_000)
  const [second, before] = keys.current()
  assert.notDeepEqual(second, first)
  assert.deepEqual(before, first)
  t.mock.timers.tick(900_000)
  assert.ok(!keys.current().some(key => key.equals(first!) || key.equals(second!)))
})

test('a shared text is read as it was last written, and one too long is refused', () => {
  const memory = new SharedArrayBuffer(64)
  const [one, other] = [new SharedText(memory), new SharedText(memory)]
  assert.equal(one.version, 0)
  assert.equal(one.read(), '')
  assert.equal(one.write('hällo'), true)
  assert.equal(other.read(), 'hällo')
  const { version } = other
  assert.equal(one.write('x'.repeat(49)), false)
  assert.equal(other.version, version)
  assert.equal(one.write('x'.repeat(48)), true)
  assert.notEqual(other.version, version)
})
