import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import {
  DIRECTORY,
  FAILED,
  openFile,
  REGULAR,
  SMALL_MAX,
  SPECIAL,
  statFile,
} from '../../../src/http/files/open-file.ts'
import { CachedFiles, OpenFileCache } from '../../../src/http/files/open-file-cache.ts'
import type { HttpRequest } from '../../../src/http/request.ts'
import { tempDir } from '../../helpers/index.ts'

/** A request that began then. */
const at = (ms: number): HttpRequest => ({ startMs: ms }) as HttpRequest

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

test('openFile tells what a path is, and reads what is small', t => {
  const dir = tempDir(t)
  writeFileSync(join(dir, 'small'), Buffer.from([0x68, 0xe4, 0xff]))
  writeFileSync(join(dir, 'big'), Buffer.alloc(SMALL_MAX + 1))
  const before = openDescriptors()

  const small = openFile(join(dir, 'small'))
  assert.equal(small.kind, REGULAR)
  assert.equal(small.text, 'h\xe4\xff')
  assert.match(small.etag, /^"[0-9a-f]+-3"$/)
  assert.equal(openFile(dir).kind, DIRECTORY)
  assert.equal(openFile('/dev/null').kind, SPECIAL)
  const missing = openFile(join(dir, 'none'))
  assert.equal(missing.kind, FAILED)
  assert.equal(missing.failure, `open() "${join(dir, 'none')}" failed (2: No such file or directory)`)
  assert.equal(openFile(join(dir, 'small/x')).code, 'ENOTDIR')
  assert.equal(openFile('/a\0b').kind, FAILED)
  assert.equal(statFile(join(dir, 'small')).size, 3)
  assert.equal(openDescriptors(), before)

  const big = openFile(join(dir, 'big'))
  assert.equal(big.text, null)
  assert.equal(openDescriptors(), before + 1)
  big.hold()
  big.release()
  assert.equal(openDescriptors(), before)
})

test('names are bytes: a latin1 path finds the file of those bytes', t => {
  const dir = tempDir(t)
  writeFileSync(join(dir, 'grün'), 'x')
  const path = Buffer.from(join(dir, 'grün')).toString('latin1')
  assert.equal(openFile(path).text, 'x')
})

test('the cache answers for open_file_cache_valid, then looks again', t => {
  const path = join(tempDir(t), 'a')
  writeFileSync(path, 'one')
  const files = new CachedFiles(new OpenFileCache({ max: 10, inactiveMs: 60_000 }), 1000, 1, false)
  const first = files.open(path, at(0))
  writeFileSync(path, 'other')
  assert.equal(files.open(path, at(999)), first)
  assert.equal(files.open(path, at(1000)).text, 'other')
})

test('min_uses: only what is asked for often enough is kept', t => {
  const path = join(tempDir(t), 'a')
  writeFileSync(path, 'x')
  const files = new CachedFiles(new OpenFileCache({ max: 10, inactiveMs: 5000 }), 60_000, 2, false)
  const first = files.open(path, at(0))
  const second = files.open(path, at(1))
  assert.notEqual(second, first)
  assert.equal(files.open(path, at(2)), second)
  // Unused for longer than `inactive`, it has to begin again.
  const third = files.open(path, at(6000))
  assert.notEqual(files.open(path, at(6001)), third)
})

test('errors are kept only if open_file_cache_errors says so', t => {
  const path = join(tempDir(t), 'a')
  const cache = new OpenFileCache({ max: 10, inactiveMs: 60_000 })
  assert.equal(new CachedFiles(cache, 60_000, 1, false).open(path, at(0)).kind, FAILED)
  assert.equal(cache.size, 0)
  const keeping = new CachedFiles(cache, 60_000, 1, true)
  const missing = keeping.open(path, at(0))
  writeFileSync(path, 'x')
  assert.equal(keeping.open(path, at(1)), missing)
})

test('the cache never holds more than max, and closes what it lets go of', t => {
  const dir = tempDir(t)
  mkdirSync(join(dir, 'd'))
  const cache = new OpenFileCache({ max: 3, inactiveMs: 60_000 })
  const files = new CachedFiles(cache, 60_000, 1, false)
  const before = openDescriptors()
  for (let i = 0; i < 8; i++) writeFileSync(join(dir, `${i}`), Buffer.alloc(SMALL_MAX + 1))
  for (let i = 0; i < 8; i++) {
    files.open(join(dir, `${i}`), at(i))
    assert.ok(cache.size <= 3)
  }
  assert.equal(openDescriptors(), before + 3)
  cache.clear()
  assert.equal(openDescriptors(), before)
})

test('what is in use goes last when room is needed', t => {
  const dir = tempDir(t)
  for (const name of 'abcde') writeFileSync(join(dir, name), name)
  const cache = new OpenFileCache({ max: 3, inactiveMs: 60_000 })
  const files = new CachedFiles(cache, 60_000, 1, false)
  const open = (name: string, now: number): unknown => files.open(join(dir, name), at(now))
  const a = open('a', 0)
  open('b', 1)
  open('c', 2)
  assert.equal(open('a', 3), a)
  open('d', 4)
  assert.equal(open('a', 5), a)
})

test('a big file evicted while it is being read is closed by its reader', t => {
  const path = join(tempDir(t), 'big')
  writeFileSync(path, Buffer.alloc(SMALL_MAX + 1))
  const cache = new OpenFileCache({ max: 1, inactiveMs: 60_000 })
  const before = openDescriptors()
  const file = new CachedFiles(cache, 60_000, 1, false).open(path, at(0))
  file.hold()
  cache.clear()
  rmSync(path)
  assert.equal(openDescriptors(), before + 1)
  file.release()
  assert.equal(openDescriptors(), before)
})
