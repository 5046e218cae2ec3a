// Two masters and their pid files.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { MasterPidFile } from '../../src/process/master-pid-file.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const own = `${process.pid}\n`

test('nginx: the old master steps aside, and back when its successor has gone', t => {
  const path = join(tempDir(t), 'pid')
  const file = new MasterPidFile('nginx', () => assert.fail('nothing is to be logged'))
  file.write(path, false)
  assert.equal(file.stepAside(path), true)
  assert.deepEqual([existsSync(path), readFileSync(`${path}.oldbin`, 'latin1')], [false, own])
  file.stepBack(path)
  assert.deepEqual([readFileSync(path, 'latin1'), existsSync(`${path}.oldbin`)], [own, false])
  file.remove(path)
  assert.equal(existsSync(path), false)
})

test('nginx: a master that has stepped aside removes its own file and leaves its successor its', t => {
  const path = join(tempDir(t), 'pid')
  const file = new MasterPidFile('nginx', () => assert.fail('nothing is to be logged'))
  file.write(path, false)
  file.stepAside(path)
  writeFileSync(path, '1\n')
  file.remove(path)
  assert.deepEqual([readFileSync(path, 'latin1'), existsSync(`${path}.oldbin`)], ['1\n', false])
})

test('nginx: a file that cannot be renamed is logged, and the successor not started', t => {
  const logged: string[] = []
  const file = new MasterPidFile('nginx', (_level, message) => void logged.push(message))
  assert.equal(file.stepAside(join(tempDir(t), 'missing')), false)
  assert.match(logged.join(), /^rename\(\) .* failed \(2: No such file or directory\)$/)
})

test('gunicorn: the second master has a file of its own until it is promoted', t => {
  const path = join(tempDir(t), 'pid')
  const file = new MasterPidFile('gunicorn', () => assert.fail('nothing is to be logged'))
  writeFileSync(path, '1\n')
  file.write(path, true)
  assert.deepEqual([readFileSync(path, 'latin1'), readFileSync(`${path}.2`, 'latin1')], ['1\n', own])
  file.promote(path)
  assert.deepEqual([readFileSync(path, 'latin1'), existsSync(`${path}.2`)], [own, false])
  assert.equal(file.stepAside(path), true)
  assert.equal(readFileSync(path, 'latin1'), own)
})

test('a reload that names another file moves it', t => {
  const dir = tempDir(t)
  const logged: string[] = []
  const file = new MasterPidFile('nginx', (_level, message) => void logged.push(message))
  file.write(join(dir, 'a'), false)
  file.move(join(dir, 'a'), join(dir, 'b'))
  assert.deepEqual([existsSync(join(dir, 'a')), readFileSync(join(dir, 'b'), 'latin1')], [false, own])
  file.move(join(dir, 'b'), join(dir, 'none', 'c'))
  assert.equal(readFileSync(join(dir, 'b'), 'latin1'), own)
  assert.equal(logged.length, 1)
})
