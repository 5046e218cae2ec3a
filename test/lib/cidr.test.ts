import assert from 'node:assert/strict'
import test from 'node:test'
import { NetworkRules } from '../../src/lib/cidr.ts'
import { parseAddress, parseNetwork, type Network } from '../../src/lib/networks.ts'

function rules(...networks: string[]): NetworkRules {
  return new NetworkRules(networks.map((text, i) => [parseNetwork(text)!, i]))
}

function find(list: NetworkRules, address: string): number {
  return list.find(parseAddress(address)!)
}

test('the first network in the order written is found, not the narrowest', () => {
  const list = rules('10.1.0.0/16', '10.0.0.0/8', '10.1.2.3', '0.0.0.0/0')
  assert.equal(find(list, '10.1.2.3'), 0)
  assert.equal(find(list, '10.2.0.1'), 1)
  assert.equal(find(list, '255.255.255.255'), 3)
})

test('a network ends with its last address', () => {
  const list = rules('192.0.2.0/24', '2001:db8::/33', 'ffff::/16')
  assert.equal(find(list, '192.0.2.255'), 0)
  assert.equal(find(list, '192.0.3.0'), -1)
  assert.equal(find(list, '2001:db8:7fff:ffff::1'), 1)
  assert.equal(find(list, '2001:db8:8000::'), -1)
  assert.equal(find(list, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), 2)
})

test('an IPv4 address in IPv6 clothes meets the IPv4 networks', () => {
  assert.equal(find(rules('127.0.0.0/8'), '::ffff:127.0.0.1'), 0)
})

test('no networks match nothing', () => {
  assert.equal(find(rules(), '127.0.0.1'), -1)
})

test('random lists answer as a walk through them would', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  console.log(`FUZZ_SEED=${seed}`)
  let state = seed >>> 0
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  // Few distinct bytes, so that networks nest and touch.
  const v4 = (): string => [random(2) * 255, random(3), random(256), random(256)].join('.')
  const v6 = (): string => Array.from({ length: 8 }, () => (random(3) * 0x7fff).toString(16)).join(':')
  for (let round = 0; round < 200; round++) {
    const list: Network[] = Array.from({ length: random(40) }, () =>
      random(2) === 0 ? parseNetwork(`${v4()}/${random(33)}`)! : parseNetwork(`${v6()}/${random(129)}`)!,
    )
    const compiled = new NetworkRules(list.map((network, i) => [network, i]))
    for (let i = 0; i < 50; i++) {
      const address = parseAddress(random(2) === 0 ? v4() : v6())!
      assert.equal(
        compiled.find(address),
        list.findIndex(network => network.contains(address)),
      )
    }
  }
})
