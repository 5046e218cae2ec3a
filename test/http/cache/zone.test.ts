import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import test from 'node:test'
import type { Entry } from '../../../src/http/cache/entry-file.ts'
import type { CachePath } from '../../../src/http/cache/path.ts'
import { RecentEntries } from '../../../src/http/cache/recent.ts'
import { digestOf } from '../../../src/http/cache/variant.ts'
import { BLOCK, CacheZone, KNOWN, SCARCE, UNKNOWN } from '../../../src/http/cache/zone.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

/** Two threads' views of one cache of at most eight keys. */
function zones(t: test.TestContext, inactive = 600): [CacheZone, CacheZone] {
  const path = { folder: tempDir(t), levels: [1, 2], bytes: 8192, inactive } as unknown as CachePath
  const table = new SharedArrayBuffer(CacheZone.bytesFor(path))
  const numbers = new SharedArrayBuffer(CacheZone.sharedBytes)
  return [new CacheZone(path, table, numbers), new CacheZone(path, table, numbers)]
}

function store(zone: CacheZone, name: string, size = 1): string {
  const id = digestOf(name)
  zone.enter(id, 1)
  zone.makeFolder(id)
  writeFileSync(zone.fileOf(id), 'x')
  zone.stored(id, size)
  return id
}

test('what one thread does the other one sees', t => {
  const [a, b] = zones(t)
  const id = digestOf('key')
  assert.equal(a.enter(id, 3), UNKNOWN)
  assert.equal(b.enter(id, 3), SCARCE)
  assert.equal(a.enter(id, 3), KNOWN)
  assert.equal(a.exists, false)
  a.stored(id, BLOCK + 1)
  assert.deepEqual([b.enter(id, 3), b.exists, b.blocks], [KNOWN, true, 2])
  const { stamp } = b
  a.changed(id)
  b.enter(id, 3)
  assert.notEqual(b.stamp, stamp)
  a.missing(id)
  b.enter(id, 3)
  assert.deepEqual([b.exists, b.blocks], [false, 0])
})

test('a key is claimed by one, until it lets go or is too slow', t => {
  const [a, b] = zones(t)
  const id = digestOf('key')
  a.enter(id, 1)
  assert.ok(a.claim(id, 1000))
  assert.ok(!b.claim(id, 1000))
  assert.ok(b.isClaimed(id, 1000))
  assert.ok(b.claim(id, -1))
  b.release(id)
  assert.ok(!a.isClaimed(id, 1000))
  assert.ok(a.claim(id, 1000))
})

test('when a remembered status is no longer good, neither is the file that was too old before it', t => {
  const [a] = zones(t)
  const id = store(a, 'key')
  a.failed(id, 502, 1)
  assert.equal(a.enter(id, 1), UNKNOWN)
  assert.equal(existsSync(a.fileOf(id)), false)
  assert.deepEqual([a.enter(id, 1), a.exists, a.blocks], [KNOWN, false, 0])
})

test('a status is remembered for its time', t => {
  const [a] = zones(t)
  const id = digestOf('key')
  a.enter(id, 1)
  a.failed(id, 502, Math.floor(Date.now() / 1000) + 10)
  assert.equal(a.enter(id, 1), 502)
  a.failed(id, 502, 1)
  assert.equal(a.enter(id, 1), UNKNOWN)
})

test('a full zone throws out what was used least, but nothing that is being fetched', t => {
  const [a] = zones(t)
  const first = store(a, 'first')
  a.claim(first)
  const second = store(a, 'second')
  assert.equal(a.watermark, Infinity)
  for (let i = 0; i < 20; i++) store(a, `${i}`)
  assert.ok(existsSync(a.fileOf(first)))
  assert.ok(!existsSync(a.fileOf(second)))
  assert.ok(a.watermark < a.table.capacity)
  assert.equal(a.blocks, a.count)
})

test('a file whose key had to go while it was fetched is known again, and goes in its turn', t => {
  const [a, b] = zones(t)
  const id = digestOf('slow')
  a.enter(id, 1)
  for (let i = 0; i < 20; i++) store(b, `${i}`)
  a.makeFolder(id)
  writeFileSync(a.fileOf(id), 'x')
  a.stored(id, 1)
  assert.equal(a.blocks, a.count)
  assert.deepEqual([b.enter(id, 1), b.exists], [KNOWN, true])
  for (let i = 20; i < 40; i++) store(b, `${i}`)
  assert.ok(!existsSync(a.fileOf(id)))
})

test('a file that nobody can remember is not kept', t => {
  const [a] = zones(t)
  const ids = Array.from({ length: a.table.capacity }, (_, i) => store(a, `${i}`))
  const late = digestOf('late')
  a.makeFolder(late)
  writeFileSync(a.fileOf(late), 'x')
  a.load(late, 1)
  assert.ok(!existsSync(a.fileOf(late)))
  for (const id of ids) assert.ok(existsSync(a.fileOf(id)))
  // All that is known is being fetched: nothing may go for it.
  for (const id of ids) a.claim(id)
  writeFileSync(a.fileOf(late), 'x')
  a.stored(late, 1)
  assert.ok(!existsSync(a.fileOf(late)))
  assert.equal(a.blocks, ids.length)
})

test('what is unused goes when its time is over', t => {
  const [a] = zones(t, 0)
  const id = store(a, 'key')
  assert.equal(a.expire(), 0)
  assert.ok(!existsSync(a.fileOf(id)))
  assert.deepEqual([a.count, a.blocks, a.expire()], [0, 0, 10])
})

test('memory that was lost is found out about', t => {
  const [a] = zones(t)
  a.warm()
  store(a, 'key')
  assert.equal(a.recover(), false)
  a.table.lock()
  a.table.remove(a.table.oldest())
  a.table.unlock()
  assert.equal(a.recover(), true)
  assert.deepEqual([a.isCold, a.blocks], [true, 0])
})

test('recent ones are served for a second, as long as nobody has put others in their place', () => {
  const recent = new RecentEntries()
  const entry = { size: 10 } as Entry
  recent.add('a', entry, 1, 0)
  assert.equal(recent.get('a', 1, 999), entry)
  assert.equal(recent.get('a', 2, 999), null)
  recent.add('a', entry, 2, 0)
  assert.equal(recent.get('a', 2, 1000), null)
  assert.equal(recent.get('a', 2, 0), null)
  const big = { size: 1024 * 1024 } as Entry
  for (let i = 0; i < 100; i++) {
    recent.add(`${i}`, big, 1, 0)
    recent.get('0', 1, 0)
  }
  assert.equal(recent.get('0', 1, 0), big)
  assert.equal(recent.get('50', 1, 0), null)
  assert.equal(recent.get('99', 1, 0), big)
})

test('recent ones without a body take room, too', () => {
  const recent = new RecentEntries()
  for (let i = 0; i < 100_000; i++) recent.add(`${i}`, { size: 0 } as Entry, 1, 0)
  assert.equal(recent.get('0', 1, 0), null)
})
