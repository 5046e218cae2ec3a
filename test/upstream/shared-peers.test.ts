// A group's servers in shared memory: two objects on the same memory are two threads, a new one with other servers is a
// reload.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Choice, Group, SUCCEEDED } from '../../src/upstream/group.ts'
import { CHECKING, DOWN, REQUESTS } from '../../src/upstream/peer.ts'
import { CHILD, TEMPLATE, zoneBytes } from '../../src/upstream/peer-slots.ts'
import { addressesOf, readServer } from '../../src/upstream/server.ts'
import { SharedPeers } from '../../src/upstream/shared-peers.ts'
import type { Entry } from '../../src/upstream/shared-peers.ts'
import { readWide } from '../../src/zone/wide-counter.ts'

const refusal = {
  fail(problem: string): never {
    throw new Error(problem)
  },
}

function entry(line: string): Entry {
  const declaration = readServer(line.split(' '), [], refusal)
  return { declaration, names: declaration.resolve ? [] : addressesOf(declaration.url, refusal) }
}

function memory(): SharedArrayBuffer {
  return new SharedArrayBuffer(zoneBytes(32768))
}

function thread(shared: SharedArrayBuffer, ...lines: string[]): [SharedPeers, Group] {
  const peers = new SharedPeers(shared, lines.map(entry))
  const group = new Group('g', [])
  group.source = peers
  peers.sync(group)
  return [peers, group]
}

function names(group: Group): string[] {
  group.source!.sync(group)
  return [...group.peers.map(peer => peer.name), ...group.backups.map(peer => `${peer.name} backup`)]
}

test('threads have the same servers and count together', () => {
  const shared = memory()
  const lines = ['127.0.0.1:1 weight=2 max_conns=1', '127.0.0.1:2 backup']
  const [, one] = thread(shared, ...lines)
  const [, other] = thread(shared, ...lines)
  assert.deepEqual(names(other), ['127.0.0.1:1', '127.0.0.1:2 backup'])
  const choice = new Choice(one, '', 0)
  assert.equal(choice.next()!.name, '127.0.0.1:1')
  assert.equal(new Choice(other, '', 0).next()!.name, '127.0.0.1:2')
  choice.release(SUCCEEDED, { status: 200, headerMs: 1, responseMs: 1, bytesSent: 1, bytesReceived: 1 })
  assert.equal(new Choice(other, '', 0).next()!.name, '127.0.0.1:1')
  assert.equal(readWide(one.peers[0]!.numbers, REQUESTS), 2)
})

test('what one thread adds, alters and removes is there for the others with their next request', () => {
  const shared = memory()
  const [peers, one] = thread(shared, '127.0.0.1:1', '127.0.0.1:2')
  const [, other] = thread(shared, '127.0.0.1:1', '127.0.0.1:2')
  const [id] = peers.add(entry('127.0.0.1:3 weight=5'))!
  assert.deepEqual(names(other), ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'])
  peers.update(id!, { down: true, weight: 7 })
  names(other)
  assert.deepEqual([other.peers[2]!.down, other.peers[2]!.weight], [DOWN, 7])
  assert.equal(peers.remove(one.peers[0]!.id), true)
  assert.deepEqual(names(other), ['127.0.0.1:2', '127.0.0.1:3'])
  assert.equal(peers.remove(99), false)
  assert.equal(peers.update(99, {}), false)
})

test('a reload keeps the numbers of servers that stay, whatever else changes', () => {
  const shared = memory()
  const [, before] = thread(shared, '127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3')
  before.peers[1]!.fails = 1
  const [, after] = thread(shared, '127.0.0.1:4', '127.0.0.1:2 weight=3')
  assert.deepEqual(names(after), ['127.0.0.1:4', '127.0.0.1:2'])
  assert.deepEqual([after.peers[1]!.fails, after.peers[1]!.weight], [1, 3])
  assert.deepEqual(names(before), ['127.0.0.1:4', '127.0.0.1:2'])
})

test('servers changed by hand stay over a reload that says the same of the group', () => {
  const shared = memory()
  const [peers] = thread(shared, '127.0.0.1:1')
  peers.add(entry('127.0.0.1:9'))
  assert.deepEqual(names(thread(shared, '127.0.0.1:1')[1]), ['127.0.0.1:1', '127.0.0.1:9'])
  assert.deepEqual(names(thread(shared, '127.0.0.1:1 weight=2')[1]), ['127.0.0.1:1'])
})

test('what was saved is no news to a reload that reads it', () => {
  const shared = memory()
  const [peers, group] = thread(shared, '127.0.0.1:1')
  peers.add(entry('127.0.0.1:9 weight=3'))
  peers.saved([entry('127.0.0.1:1'), entry('127.0.0.1:9 weight=3')])
  peers.add(entry('127.0.0.1:7'))
  const ids = (of: Group): number[] => (names(of), of.peers.map(peer => peer.id))
  assert.deepEqual(ids(thread(shared, '127.0.0.1:1', '127.0.0.1:9 weight=3')[1]), ids(group))
  assert.deepEqual(names(thread(shared, '127.0.0.1:9')[1]), ['127.0.0.1:9'])
})

test('numbers beyond what a word holds are the greatest there is', () => {
  const [, group] = thread(memory(), '127.0.0.1:1 max_conns=4294967297 max_fails=4294967296 fail_timeout=9999999999s')
  const { maxConns, maxFails, failTimeout } = group.peers[0]!
  assert.deepEqual([maxConns, maxFails, failTimeout], [0x7fffffff, 0x7fffffff, 0x7fffffff])
})

test('addresses of a name come and go, follow its line, and are kept over a reload', () => {
  const shared = memory()
  const [peers, group] = thread(shared, 'a.example:80 resolve max_fails=7', '127.0.0.1:1')
  const template = peers.slots.used().find(at => peers.slots.has(at, TEMPLATE))!
  const found = (...hosts: string[]): void => {
    const addresses = hosts.map(host => ({ name: `${host}:80`, server: 'a.example:80', weight: 1, backup: false }))
    assert.equal(peers.setAddresses(peers.slots.id(template), addresses, Date.now() + 60_000), true)
  }
  assert.deepEqual(names(group), ['127.0.0.1:1'])
  found('10.0.0.1', '10.0.0.2')
  assert.deepEqual(names(group), ['10.0.0.1:80', '10.0.0.2:80', '127.0.0.1:1'])
  assert.equal(group.peers[0]!.maxFails, 7)
  const stays = group.peers[1]!
  found('10.0.0.2', '10.0.0.3')
  assert.deepEqual(names(group), ['10.0.0.2:80', '10.0.0.3:80', '127.0.0.1:1'])
  assert.equal(group.peers[0], stays)
  const [reloaded, after] = thread(shared, '127.0.0.1:1', 'a.example:81 resolve max_fails=8')
  assert.deepEqual(names(after), ['127.0.0.1:1', '10.0.0.2:81', '10.0.0.3:81'])
  assert.equal(after.peers[1]!.maxFails, 8)
  reloaded.remove(reloaded.slots.id(template))
  assert.deepEqual(names(after), ['127.0.0.1:1'])
  assert.equal(
    reloaded.slots.used().some(at => reloaded.slots.has(at, CHILD)),
    false,
  )
})

test('a server is not forgotten while requests are there, nor its place used again', t => {
  t.mock.timers.enable({ apis: ['Date'] })
  const shared = memory()
  const [peers, group] = thread(shared, '127.0.0.1:1')
  const choice = new Choice(group, '', 0)
  const peer = choice.next()!
  peers.remove(peer.id)
  assert.equal(peers.slots.zombies(), 1)
  peers.add(entry('127.0.0.1:2'))
  assert.equal(peer.conns, 1)
  choice.release(SUCCEEDED)
  assert.equal(peers.slots.zombies(), 0)
  assert.equal(new Choice(group, '', 0).next()!.name, '127.0.0.1:2')
})

test('a table that is full takes no more, and says so', () => {
  const shared = memory()
  const [peers] = thread(shared, '127.0.0.1:1')
  let count = 1
  while (peers.add(entry(`127.0.0.1:${count + 1}`)) !== null) count++
  assert.equal(count, peers.slots.capacity)
})

test('with a mandatory health check a new server waits for it', () => {
  const shared = memory()
  const peers = new SharedPeers(shared, [entry('127.0.0.1:1')], true)
  const group = new Group('g', [])
  group.source = peers
  assert.equal(new Choice(group, '', 0).next(), null)
  assert.equal(group.peers[0]!.down, CHECKING)
})

test('what a thread holds when it ends is given back', () => {
  const shared = memory()
  const [one, group] = thread(shared, '127.0.0.1:1')
  const [, other] = thread(shared, '127.0.0.1:1')
  new Choice(group, '', 0).next()
  new Choice(other, '', 0).next()
  one.stop()
  assert.equal(other.peers[0]!.conns, 1)
})

test('words that make no server are refused in nginx words', () => {
  const refused: Readonly<Record<string, RegExp>> = {
    'a.example service=http': /^service upstream "a.example" requires "resolve" parameter$/,
    'a.example:80 service=http resolve': /may not have port$/,
    '127.0.0.1 service=http resolve': /requires domain name$/,
    'a.example resolve service=': /^service is empty$/,
    '127.0.0.1 route=': /^route is empty$/,
    [`127.0.0.1 route=${'r'.repeat(33)}`]: /^route is longer than 32$/,
    '127.0.0.1 weight=0': /^invalid parameter "weight=0"$/,
    '127.0.0.1 slow_start=x': /^invalid parameter "slow_start=x"$/,
    '127.0.0.1 up': /^invalid parameter "up"$/,
    '127.0.0.1:0': /^invalid port in upstream "127.0.0.1:0"$/,
  }
  for (const [line, problem] of Object.entries(refused)) assert.throws(() => entry(line), { message: problem }, line)
  assert.throws(() => readServer(['127.0.0.1', 'backup'], ['backup'], refusal), {
    message: 'balancing method does not support parameter "backup"',
  })
})
