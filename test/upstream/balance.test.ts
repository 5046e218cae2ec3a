// The balancers over made-up peers: orders, limits, failures and recoveries, without a socket.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Balancer } from '../../src/upstream/balance/balancer.ts'
import { consistentHash, hash, Ring } from '../../src/upstream/balance/hash.ts'
import { addressBytes, ipHash } from '../../src/upstream/balance/ip-hash.ts'
import { leastConn } from '../../src/upstream/balance/least-conn.ts'
import { random, randomTwo, randomTwoLeastTime } from '../../src/upstream/balance/random.ts'
import { roundRobin } from '../../src/upstream/balance/round-robin.ts'
import { leastTime } from '../../src/upstream/balance/least-time.ts'
import { Choice, FAILED, Group, PASSED_ON, SUCCEEDED } from '../../src/upstream/group.ts'
import { DOWN, Peer, PEER_BYTES, seconds, setOptions } from '../../src/upstream/peer.ts'
import type { PeerOptions } from '../../src/upstream/peer.ts'

function peers(options: Readonly<Record<string, PeerOptions>>): Peer[] {
  return Object.entries(options).map(([name, option]) => new Peer(name, { host: '127.0.0.1', port: 1 }, option))
}

function take(group: Group, outcome = SUCCEEDED, address = '10.0.0.1'): string {
  const choice = new Choice(group, address, 0)
  const peer = choice.next()
  choice.release(outcome)
  return peer?.name ?? '-'
}

test('round robin is smooth and keeps to the weights', () => {
  const group = new Group('g', peers({ a: { weight: 5 }, b: {}, c: {} }))
  assert.equal(Array.from({ length: 14 }, () => take(group)).join(''), 'aabacaaaabacaa')
})

for (const balancer of [roundRobin, leastConn, ipHash, hash, consistentHash, random, randomTwo] satisfies Balancer[]) {
  test(`${balancer.name}: a request tries every peer once, then the backups, then there is none`, () => {
    const group = new Group('g', peers({ a: {}, b: {}, c: { down: true } }), peers({ x: {}, y: {} }), balancer)
    const choice = new Choice(group, '10.1.2.3', 0, 'key')
    const seen: string[] = []
    for (let peer = choice.next(); peer !== null; peer = choice.next()) {
      seen.push(peer.name)
      choice.release(FAILED)
    }
    assert.deepEqual(seen.slice(0, 2).sort(), ['a', 'b'])
    assert.deepEqual(seen.slice(2).sort(), ['x', 'y'])
    assert.equal(choice.triesLeft, 0)
    assert.ok(group.peers.every(peer => peer.conns === 0))
  })

  test(`${balancer.name}: a peer at max_conns is passed over`, () => {
    const group = new Group('g', peers({ a: { maxConns: 1 }, b: {} }), [], balancer)
    const held = new Choice(group, '10.0.0.1', 0)
    while (held.next()!.name !== 'a') held.release(SUCCEEDED)
    for (let i = 0; i < 5; i++) assert.equal(take(group), 'b')
  })
}

test('a peer that failed max_fails times rests for fail_timeout, and is tried by one request after it', t => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000_000 })
  const group = new Group('g', peers({ a: { maxFails: 2, failTimeout: 10 }, b: {} }))
  const a = group.peers[0]!
  const fail = (): void => {
    for (let i = 0; i < 2; i++) {
      const choice = new Choice(group, '', 0)
      choice.release(choice.next() === a ? FAILED : SUCCEEDED)
    }
  }
  fail()
  fail()
  assert.equal(a.fails, 2)
  for (let i = 0; i < 4; i++) assert.equal(take(group), 'b')
  t.mock.timers.tick(11_000)
  assert.ok(Array.from({ length: 4 }, () => take(group)).includes('a'))
  assert.equal(a.fails, 0)
})

test('the only peer of a group is asked again however often it fails', () => {
  const group = new Group('g', peers({ a: { maxFails: 1 } }))
  for (let i = 0; i < 3; i++) assert.equal(take(group, FAILED), 'a')
})

test('403 and 404 passed on are no failures', () => {
  const group = new Group('g', peers({ a: {}, b: {} }))
  for (let i = 0; i < 4; i++) take(group, PASSED_ON)
  assert.ok(group.peers.every(peer => peer.fails === 0))
})

test('the number of tries is that of the usable peers, or fewer if so configured', () => {
  const group = new Group('g', peers({ a: {}, b: {}, c: { down: true } }), peers({ d: {} }))
  assert.equal(new Choice(group, '', 0).triesLeft, 3)
  assert.equal(new Choice(group, '', 2).triesLeft, 2)
})

test('least_conn compares requests by weight', () => {
  const group = new Group('g', peers({ a: { weight: 3 }, b: {} }), [], leastConn)
  const names = Array.from({ length: 8 }, () => new Choice(group, '', 0).next()!.name)
  assert.equal(names.filter(name => name === 'a').length, 6)
})

test('least_conn finds a peer that joins while requests are under way', () => {
  const group = new Group('g', peers({ a: {} }), [], leastConn)
  new Choice(group, '', 0).next()
  group.peers = [...group.peers, ...peers({ b: {} })]
  assert.equal(new Choice(group, '', 0).next()!.name, 'b')
})

test('ip_hash goes by the first three bytes of IPv4 and all of IPv6', () => {
  assert.deepEqual(addressBytes('10.20.30.40'), [10, 20, 30])
  assert.deepEqual(addressBytes('::1'), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
  assert.deepEqual(addressBytes('2001:db8::a:b'), [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa, 0, 0xb])
  assert.deepEqual(addressBytes('::ffff:1.2.3.4').slice(10), [255, 255, 1, 2, 3, 4])
  assert.deepEqual(addressBytes('unix:'), [0, 0, 0])
  const group = new Group('g', peers({ a: {}, b: {}, c: {} }), [], ipHash)
  assert.equal(take(group, SUCCEEDED, '10.9.8.1'), take(group, SUCCEEDED, '10.9.8.250'))
  const spread = new Set(Array.from({ length: 64 }, (_, i) => take(group, SUCCEEDED, `10.${i}.3.1`)))
  assert.deepEqual([...spread].sort(), ['a', 'b', 'c'])
})

test('hashes are for the servers: without one of them the backups take turns', () => {
  for (const balancer of [ipHash, hash, consistentHash, random]) {
    const backups = peers({ 'x:1': {}, 'y:1': {} })
    const group = new Group('g', peers({ 'a:1': { down: true }, 'b:1': { down: true } }), backups, balancer)
    const names = Array.from({ length: 4 }, () => new Choice(group, '10.0.0.1', 0, 'key').next()!.name)
    assert.deepEqual(names, ['x:1', 'y:1', 'x:1', 'y:1'])
  }
})

function named(key: string, group: Group): string {
  return new Choice(group, '10.0.0.1', 0, key).next()!.name
}
const KEYS = Array.from({ length: 400 }, (_, i) => `key ${i}`)

test('hash: a key stays with its peer, by weight; without a key round robin decides', () => {
  const group = new Group('g', peers({ a: {}, b: { weight: 3 } }), [], hash)
  const first = KEYS.map(key => named(key, group))
  assert.deepEqual(
    KEYS.map(key => named(key, group)),
    first,
  )
  const share = first.filter(name => name === 'b').length / KEYS.length
  assert.ok(share > 0.6 && share < 0.9, `b has ${share}`)
  assert.deepEqual(['', '', '', ''].map(key => named(key, group)).sort(), ['a', 'b', 'b', 'b'])
})

test('consistent hash: only the keys of a server that is gone move', () => {
  const all = new Group('g', peers({ 'h:1': {}, 'h:2': {}, 'h:3': {} }), [], consistentHash)
  const fewer = new Group('g', peers({ 'h:1': {}, 'h:3': {} }), [], consistentHash)
  for (const key of KEYS) {
    const before = named(key, all)
    if (before !== 'h:2') assert.equal(named(key, fewer), before)
  }
})

test('consistent hash: addresses of one server take turns', () => {
  const options = { server: 'name' }
  const group = new Group('g', peers({ '10.0.0.1:80': options, '10.0.0.2:80': options }), [], consistentHash)
  assert.deepEqual([named('k', group), named('k', group)].sort(), ['10.0.0.1:80', '10.0.0.2:80'])
})

test('the ring goes round', () => {
  const ring = new Ring(peers({ 'h:1': {}, 'h:2': {} }))
  assert.equal(ring.serverAt(ring.find(0xffffffff)), ring.serverAt(ring.find(0)))
})

test('the ring has the points of ketama, and no more than memory is for', () => {
  // Of the keys 0 to 39, as nginx sends them to four servers of which the third weighs three and the fourth two.
  const ring = new Group(
    'g',
    peers({
      '127.0.0.1:8081': {},
      '127.0.0.1:8082': {},
      '127.0.0.1:8083': { weight: 3 },
      '127.0.0.1:8084': { weight: 2 },
    }),
    [],
    consistentHash,
  )
  const ports = Array.from({ length: 40 }, (_, key) => named(String(key), ring).slice(-1)).join('')
  assert.equal(ports, '3334443121313444343124241243444444333233')
  const heavy = new Ring(peers({ 'h:1': { weight: 1_000_000 }, 'h:2': { weight: 250_000 } }))
  const share = KEYS.filter((_, i) => heavy.serverAt(heavy.find(i * 10_737_418)) === 'h:1').length / KEYS.length
  assert.ok(share > 0.7 && share < 0.9, `h:1 has ${share}`)
})

test('random two takes the less busy one; both keep away from who is down', () => {
  const group = new Group('g', peers({ a: {}, b: {}, c: { down: true } }), [], randomTwo)
  const busy = [new Choice(group, '', 0).next()!, new Choice(group, '', 0).next()!]
  assert.deepEqual(busy.map(peer => peer.name).sort(), ['a', 'b'])
  const chance = new Group('g', peers({ a: { weight: 9 }, b: {}, c: { down: true } }), [], random)
  const names = KEYS.map(() => take(chance))
  assert.ok(names.filter(name => name === 'a').length > 250)
  assert.equal(names.includes('c'), false)
})

test('numbers in shared memory are the same for all who look', () => {
  const numbers = new Int32Array(new SharedArrayBuffer(PEER_BYTES))
  setOptions(numbers, { maxConns: 1, weight: 2 })
  const [one, other] = [0, 1].map(() => new Peer('a', { host: '127.0.0.1', port: 1 }, {}, 0, numbers)) as [Peer, Peer]
  assert.equal(one.enter(0), true)
  assert.equal(other.available(0), false)
  assert.equal(other.enter(0), false, 'the last place is taken')
  assert.equal(one.conns, 1)
  one.leave()
  assert.deepEqual([other.conns, one.effectiveWeight], [0, 2])
  one.failed(100)
  assert.deepEqual([other.fails, other.effectiveWeight, other.available(100)], [1, 0, false])
})

for (const balancer of [
  roundRobin,
  leastConn,
  ipHash,
  hash,
  consistentHash,
  random,
  randomTwo,
  leastTime('header', true),
]) {
  test(`${balancer.name}: a request bound to a peer goes there, even if that drains, unless it is down or full`, () => {
    const group = new Group('g', peers({ a: {}, b: { route: 'r' }, c: { route: 'd', drain: true } }), [], balancer)
    const bound = (hint: string): Choice => {
      const choice = new Choice(group, '10.0.0.1', 0, 'key')
      choice.hint = hint
      return choice
    }
    for (let i = 0; i < 5; i++) {
      for (const [hint, name] of [
        [group.peers[0]!.sid, 'a'],
        ['r', 'b'],
        ['d', 'c'],
      ] as const) {
        const choice = bound(hint)
        assert.equal(choice.next()?.name, name)
        choice.release(SUCCEEDED)
      }
      assert.notEqual(take(group), 'c', 'nobody else gets to the one that drains')
    }
    group.peers[1]!.setDown(0, DOWN)
    const choice = bound('r')
    assert.equal(choice.next()?.name, 'a')
    choice.release(FAILED)
    assert.equal(choice.next(), null)
  })
}

test('round robin counts bound requests, so that the others come to their share', () => {
  const group = new Group('g', peers({ a: {}, b: {} }))
  const choice = new Choice(group, '', 0)
  choice.hint = group.peers[0]!.sid
  choice.next()
  choice.release(SUCCEEDED)
  assert.equal(take(group), 'b')
})

test('a peer that comes back gains its weight by and by with slow_start', t => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_000 })
  const group = new Group('g', peers({ a: { weight: 10 }, b: { weight: 10, slowStart: 10_000 } }))
  const b = group.peers[1]!
  const share = (): number => Array.from({ length: 100 }, () => take(group)).filter(name => name === 'b').length
  assert.equal(share(), 50)
  b.setDown(0, DOWN)
  assert.equal(share(), 0)
  b.setDown(DOWN, 0)
  assert.ok(share() <= 1)
  t.mock.timers.tick(5_000)
  const half = share()
  assert.ok(half > 25 && half < 42, `${half}`)
  t.mock.timers.tick(5_000)
  assert.equal(share(), 50)
})

test('least_time prefers who has answered faster, for the requests it has', () => {
  const group = new Group('g', peers({ slow: {}, fast: {} }), [], leastTime('last_byte', false))
  const after = (name: string, ms: number): void => {
    for (;;) {
      const choice = new Choice(group, '', 0)
      const peer = choice.next()!
      choice.release(SUCCEEDED, {
        status: 200,
        headerMs: ms,
        responseMs: peer.name === name ? ms : 20,
        bytesSent: 0,
        bytesReceived: 0,
      })
      if (peer.name === name) return
    }
  }
  after('slow', 300)
  const names = Array.from({ length: 6 }, () => take(group))
  assert.deepEqual(new Set(names), new Set(['fast']))
  // Enough requests under way make it the slower one.
  const held = Array.from({ length: 20 }, () => new Choice(group, '', 0).next()!.name)
  assert.ok(held.includes('slow'))
  const two = new Group('g', group.peers, [], randomTwoLeastTime('last_byte'))
  assert.ok(two.balancer.choose(two.peers, new Choice(two, '', 0), seconds()) !== null)
})

test('least_time inflight sees a peer that does not answer before it has answered', t => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_000 })
  const group = new Group('g', peers({ a: {}, b: {} }), [], leastTime('header', true))
  const hangs = new Choice(group, '', 0).next()!
  t.mock.timers.tick(2_000)
  for (let i = 0; i < 10; i++) assert.notEqual(take(group), hangs.name)
})
