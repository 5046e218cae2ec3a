import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { shareCompiledCode } from '../../src/process/privileges.ts'

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
