import assert from 'node:assert/strict'
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { provideFolder, shareCompiledCode } from '../../src/process/privileges.ts'

test('compiled code can be read by those who are not root any more', t => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-cache-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const mode = (name: string): number => statSync(join(folder, name)).mode & 0o777
  writeFileSync(join(folder, 'own'), '', { mode: 0o600 })
  writeFileSync(join(folder, 'readable'), '')
  chmodSync(join(folder, 'readable'), 0o604)
  mkdirSync(join(folder, 'folder'), { mode: 0o700 })
  shareCompiledCode(folder)
  assert.equal(mode('own'), 0o644)
  assert.equal(mode('readable'), 0o604)
  assert.equal(mode('folder'), 0o700)
  shareCompiledCode(undefined)
  shareCompiledCode(join(folder, 'missing'))
})

test('what others may have put among it is left as it is', t => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-cache-'))
  const elsewhere = mkdtempSync(join(tmpdir(), 'portico-secret-'))
  for (const one of [folder, elsewhere]) t.after(() => rmSync(one, { recursive: true }))
  for (const name of ['linked', 'shared']) writeFileSync(join(elsewhere, name), '', { mode: 0o600 })
  symlinkSync(join(elsewhere, 'linked'), join(folder, 'a'))
  linkSync(join(elsewhere, 'shared'), join(folder, 'b'))
  writeFileSync(join(folder, 'c'), '', { mode: 0o600 })
  shareCompiledCode(folder)
  for (const name of ['linked', 'shared']) assert.equal(statSync(join(elsewhere, name)).mode & 0o777, 0o600, name)
  assert.equal(statSync(join(folder, 'c')).mode & 0o777, 0o644)
})

test('a folder is made with those above it, or it is told why there can be none', t => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-folders-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (let i = 0; i < 2; i++) provideFolder(join(folder, 'a/b/c'), null)
  assert.equal(statSync(join(folder, 'a/b/c')).mode & 0o777, 0o700)
  writeFileSync(join(folder, 'file'), '')
  assert.throws(
    () => provideFolder(join(folder, 'file'), null),
    /^Error: mkdir\(\) ".*file" failed \(17: File exists\)$/,
  )
  // Here Node's own way of making all of them goes round and round.
  assert.throws(() => provideFolder('/proc/none', null), /^Error: mkdir\(\) "\/proc\/none" failed \(2: /)
})
