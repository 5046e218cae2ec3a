// The file of a control socket: whom it lets in, and whose it may replace.

import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { ControlSocket } from '../../src/process/control-socket.ts'
import { accepts } from '../helpers/ports.ts'
import { atEnd } from '../helpers/scope.ts'
import type { Scope } from '../helpers/scope.ts'
import { tempDir } from '../helpers/temp-dir.ts'

async function open(t: Scope, path: string, mode = 0o600, predecessor = 0): Promise<ControlSocket> {
  const socket = await ControlSocket.open({ path, mode, optional: false }, predecessor)
  atEnd(t, () => {
    socket.remove()
    closeSync(socket.fd)
  })
  return socket
}

/** As a process leaves it that was killed. */
function leaveStale(path: string): void {
  const place: object = { path: `${path}.bound` }
  const bound = new net.BoundSocket(place)
  linkSync(`${path}.bound`, path)
  bound.close()
}

test('it is made with its mode and its folder, and both go with it', async t => {
  const dir = tempDir(t)
  const path = join(dir, 'x', 'a.ctl')
  const umask = process.umask(0)
  atEnd(t, () => void process.umask(umask))
  const socket = await ControlSocket.open({ path, mode: 0o640, optional: false }, 0)
  assert.equal(statSync(path).mode & 0o777, 0o640)
  assert.equal(statSync(join(dir, 'x')).mode & 0o777, 0o700)
  assert.deepEqual(readdirSync(join(dir, 'x')), ['a.ctl'])
  assert.equal(await accepts(path), true)
  socket.remove()
  closeSync(socket.fd)
  assert.deepEqual(readdirSync(dir), [])
})

test('a folder that was there stays, and so does one with something else in it', async t => {
  const dir = tempDir(t)
  const socket = await ControlSocket.open({ path: join(dir, 'x', 'a.ctl'), mode: 0o600, optional: false }, 0)
  writeFileSync(join(dir, 'x', 'b'), '')
  socket.remove()
  closeSync(socket.fd)
  assert.deepEqual(readdirSync(join(dir, 'x')), ['b'])
  mkdirSync(join(dir, 'y'))
  const other = await ControlSocket.open({ path: join(dir, 'y', 'a.ctl'), mode: 0o600, optional: false }, 0)
  other.remove()
  closeSync(other.fd)
  assert.equal(existsSync(join(dir, 'y')), true)
})

test('a socket somebody listens on is not replaced', async t => {
  const path = join(tempDir(t), 'a.ctl')
  const first = await open(t, path)
  await assert.rejects(open(t, path), /another server listens on ".*a\.ctl" \(process \d+\)/)
  assert.equal(first.isThere, true)
})

test('one that a dead process has left is', async t => {
  const path = join(tempDir(t), 'a.ctl')
  leaveStale(path)
  assert.equal(await accepts(path), false)
  await open(t, path)
  assert.equal(await accepts(path), true)
})

test('of two who find the same left one, one gets its place', async t => {
  const path = join(tempDir(t), 'a.ctl')
  leaveStale(path)
  const both = await Promise.allSettled([open(t, path), open(t, path)])
  assert.deepEqual(both.map(one => one.status).sort(), ['fulfilled', 'rejected'])
  assert.equal(await accepts(path), true)
})

test('a file that is no socket stays', async t => {
  const path = join(tempDir(t), 'a.ctl')
  writeFileSync(path, 'precious')
  await assert.rejects(open(t, path), /is there already and is no socket/)
  assert.equal(statSync(path).size, 8)
})

test("the predecessor's is taken over, and the predecessor does not remove it then", async t => {
  const path = join(tempDir(t), 'a.ctl')
  const first = await open(t, path)
  const second = await open(t, path, 0o600, process.pid)
  assert.deepEqual([first.isThere, second.isThere], [false, true])
  first.remove()
  assert.equal(await accepts(path), true)
})

test('where it cannot be, the error says why', async t => {
  const dir = tempDir(t)
  await assert.rejects(open(t, join(dir, 'x'.repeat(100))), /is longer than the 107 bytes/)
  await assert.rejects(open(t, '/proc/none/a.ctl'), /mkdir\(\) "\/proc\/none" failed \(2: No such file or directory\)/)
  if (process.geteuid?.() === 0) return
  mkdirSync(join(dir, 'closed'))
  chmodSync(join(dir, 'closed'), 0o500)
  await assert.rejects(
    open(t, join(dir, 'closed', 'a.ctl')),
    /bind\(\) to unix:.*a\.ctl failed \(13: Permission denied\)/,
  )
})

test('a file that somebody has removed can be made anew', async t => {
  const path = join(tempDir(t), 'a.ctl')
  const first = await open(t, path)
  rmSync(path)
  assert.equal(first.isThere, false)
  const second = await open(t, path)
  assert.equal(second.isThere, true)
})
