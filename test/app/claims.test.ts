// The front's end of a pipe of tokens.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readSync, symlinkSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { Claims } from '../../src/app/dispatch/claims.ts'
import { atEnd, tempDir } from '../helpers/index.ts'

function pipe(t: TestContext): { path: string; take: () => number[]; put: (link: number, stream: number) => void } {
  const path = join(tempDir(t), 'claims')
  execFileSync('mkfifo', [path])
  const worker = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  atEnd(t, () => closeSync(worker))
  return {
    path,
    take: () => {
      const token = Buffer.alloc(8)
      readSync(worker, token)
      return [token.readUInt32LE(0), token.readUInt32LE(4)]
    },
    put: (link, stream) => {
      const token = Buffer.alloc(8)
      token.writeUInt32LE(link, 0)
      token.writeUInt32LE(stream, 4)
      writeSync(worker, token)
    },
  }
}

const run = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i)

function open(t: TestContext, path: string, link: number): Claims {
  const claims = Claims.open(path, link)
  assert.ok(claims !== null)
  atEnd(t, () => claims.close())
  return claims
}

test('claims: what the worker has not taken can be taken back, once', t => {
  const { path, take } = pipe(t)
  const claims = open(t, path, 7)
  assert.ok(claims.put(run(1, 3), 0))
  assert.ok(claims.put([1, 2, 3, 4], 3))
  assert.deepEqual(take(), [7, 1])
  assert.deepEqual([...claims.takeBack()], [2, 3, 4])
  assert.deepEqual([...claims.takeBack()], [])
})

test('claims: numbers go round at their end, as streams do', t => {
  const { path } = pipe(t)
  const claims = open(t, path, 2 ** 32 - 1)
  assert.ok(claims.put([2 ** 32 - 1, 1], 0))
  assert.ok(claims.put([2], 0))
  assert.deepEqual([...claims.takeBack()], [2 ** 32 - 1, 1, 2])
})

test('claims: what a front that died has left is passed over', t => {
  const { path, put } = pipe(t)
  const claims = open(t, path, 2)
  put(1, 5)
  claims.put([9], 0)
  put(1, 6)
  assert.deepEqual([...claims.takeBack()], [9])
})

test('claims: more than fits into one read comes back too', t => {
  const { path } = pipe(t)
  const claims = open(t, path, 1)
  for (let first = 1; first <= 96; first += 32) assert.ok(claims.put(run(first, 32), 0))
  assert.deepEqual([...claims.takeBack()], run(1, 96))
})

test('claims: what is no pipe, or a link to one, is not used', t => {
  const { path } = pipe(t)
  const folder = tempDir(t)
  writeFileSync(join(folder, 'file'), '')
  symlinkSync(path, join(folder, 'link'))
  for (const name of ['file', 'link', 'missing']) assert.equal(Claims.open(join(folder, name), 1), null, name)
})

test('claims: a full pipe is told, and nothing waits for it', t => {
  const { path } = pipe(t)
  const claims = open(t, path, 1)
  let first = 1
  while (claims.put(run(first, 32), 0)) {
    first += 32
    assert.ok(first < 1e6)
  }
  assert.equal(claims.takeBack().length, first - 1)
})
