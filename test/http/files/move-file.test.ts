import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { moveFile } from '../../../src/http/files/move-file.ts'
import { tempDir } from '../../helpers/index.ts'

const OTHER = '/dev/shm'

test('a file gets its place, whatever is there before, in a folder that is made for it', t => {
  const dir = tempDir(t)
  const from = join(dir, 'from')
  const to = join(dir, 'new/folder/to')
  const made: string[] = []
  const makeFolder = (): void => {
    made.push('made')
    mkdirSync(join(dir, 'new/folder'), { recursive: true })
  }
  for (const text of ['one', 'two']) {
    writeFileSync(from, text)
    moveFile(Buffer.from(from), Buffer.from(to), makeFolder)
    assert.equal(readFileSync(to, 'latin1'), text)
  }
  assert.deepEqual([made, readdirSync(dir)], [['made'], ['new']])
  assert.throws(() => moveFile(Buffer.from(from), Buffer.from(to), makeFolder), { code: 'ENOENT' })
})

test('to another file system it goes with its time, in a new folder too, and leaves nothing behind', t => {
  const dir = tempDir(t)
  if (!existsSync(OTHER) || statSync(OTHER).dev === statSync(dir).dev) {
    t.skip('there is no other file system')
    return
  }
  const there = join(OTHER, `portico-move-${process.pid}`)
  t.after(() => rmSync(there, { recursive: true, force: true }))
  const from = join(dir, 'from')
  for (const text of ['one', 'two']) {
    writeFileSync(from, text, { mode: 0o640 })
    utimesSync(from, 1_000_000_000, 1_000_000_000)
    moveFile(Buffer.from(from), Buffer.from(join(there, 'to')), () => mkdirSync(there))
    assert.equal(readFileSync(join(there, 'to'), 'latin1'), text)
    assert.deepEqual([readdirSync(dir), readdirSync(there)], [[], ['to']])
    const { mode, mtimeMs } = statSync(join(there, 'to'))
    assert.deepEqual([mode & 0o777, mtimeMs], [0o640, 1_000_000_000_000])
  }
  // What cannot be put there is not left beside it either.
  writeFileSync(from, 'three')
  mkdirSync(join(there, 'folder'))
  assert.throws(() => moveFile(Buffer.from(from), Buffer.from(join(there, 'folder')), () => {}))
  assert.deepEqual(readdirSync(there).toSorted(), ['folder', 'to'])
})
