import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { beginningOf, BROKEN, closeEntry, MISSING, readEntry, updateTimes } from '../../../src/http/cache/entry-file.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const head = {
  validSec: 1e9,
  date: 9e8,
  updatingSec: 5,
  errorSec: 7,
  key: 'http://x/\xff',
  vary: 'Accept',
  variant: 'v'.repeat(16),
  head: '200 OK\r\nA: b\r\n',
}

function entry(t: test.TestContext, bytes: Buffer): Buffer {
  const path = Buffer.from(join(tempDir(t), 'entry'))
  writeFileSync(path, bytes)
  return path
}

test('what is written is read again, small and big', t => {
  for (const length of [0, 10, 200_000]) {
    const body = Buffer.alloc(length, 'b')
    const found = readEntry(entry(t, Buffer.concat([beginningOf(head, length), body])))
    assert.ok(found !== MISSING && found !== BROKEN)
    const { key, vary, variant, validSec, updatingSec, errorSec } = found
    assert.deepEqual({ key, vary, variant, head: found.head, validSec, date: found.date, updatingSec, errorSec }, head)
    assert.equal(found.bodyLength, length)
    assert.equal(found.body === null, length > 100_000)
    assert.equal(found.body ?? '', length > 100_000 ? '' : 'b'.repeat(length))
    closeEntry(found)
  }
})

test('times can be changed in place', t => {
  const path = entry(t, Buffer.concat([beginningOf(head, 3), Buffer.from('abc')]))
  updateTimes(path, { validSec: 5, date: 4, updatingSec: 3, errorSec: 2 })
  const found = readEntry(path)
  assert.ok(found !== MISSING && found !== BROKEN)
  assert.deepEqual([found.validSec, found.date, found.updatingSec, found.errorSec, found.body], [5, 4, 3, 2, 'abc'])
})

test('what is missing, torn or not ours is told from what is good, from a seed', t => {
  assert.equal(readEntry(Buffer.from(join(tempDir(t), 'none'))), MISSING)
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 1e9))
  console.log(`FUZZ_SEED=${seed}`)
  let state = seed >>> 0
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 4294967296) * below)
  }
  const good = Buffer.concat([beginningOf(head, 100), Buffer.alloc(100, 'x')])
  for (let round = 0; round < 500; round++) {
    const bytes = Buffer.from(good.subarray(0, random(3) === 0 ? random(good.length) : good.length))
    for (let i = random(4); i > 0 && bytes.length > 0; i--) bytes[random(Math.min(bytes.length, 64))] = random(256)
    const found = readEntry(entry(t, bytes))
    if (found === BROKEN) continue
    assert.ok(found !== MISSING)
    assert.ok(found.size <= bytes.length)
    closeEntry(found)
  }
})
