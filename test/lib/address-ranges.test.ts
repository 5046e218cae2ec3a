import assert from 'node:assert/strict'
import test from 'node:test'
import { NetworkTable, RangeTable } from '../../src/lib/address-ranges.ts'
import { Network, parseIpv4, parseNetwork } from '../../src/lib/networks.ts'
import { Random, seed } from '../codec/h1/feeding.ts'

const start = seed()
const lastV4 = (base: number, prefix: number): number => base + 2 ** (32 - prefix) - 1

test('networks: the longest prefix wins, the same network is replaced, and a deleted one is gone', () => {
  const table = new NetworkTable<number>()
  assert.equal(table.add(parseNetwork('10.0.0.0/8')!, 1), -1)
  assert.equal(table.add(parseNetwork('10.1.0.0/16')!, 2), -1)
  assert.equal(table.add(parseNetwork('10.1.0.0/16')!, 3), 2)
  table.add(parseNetwork('10.2.0.0/16')!, 4)
  assert.ok(table.delete(parseNetwork('10.2.0.0/16')!))
  assert.ok(!table.delete(parseNetwork('10.2.0.0/15')!))
  table.freeze(lastV4)
  const find = (text: string): number => table.find(parseIpv4(text))
  assert.deepEqual(['10.0.0.0', '10.1.255.255', '10.2.0.1', '11.0.0.0', '9.255.255.255'].map(find), [1, 3, 1, -1, -1])
})

test(`fuzz: networks are found as a plain search finds them (seed ${start})`, () => {
  for (let n = 0; n < 50; n++) {
    const random = new Random(start + n)
    const table = new NetworkTable<string>()
    const all = new Map<string, { network: Network; value: number }>()
    const address = (): string =>
      String.fromCharCode(...Array.from({ length: 16 }, (_, i) => (i < 14 ? 0 : random.below(256))))
    for (let value = 0; value < 60; value++) {
      const network = new Network(address(), 108 + random.below(21))
      table.add(network, value)
      all.set(`${network.base}${network.prefix}`, { network, value })
    }
    table.freeze((base, prefix) => new Network(base, prefix).last as string)
    for (let i = 0; i < 200; i++) {
      const at = address()
      const best = [...all.values()]
        .filter(({ network }) => network.contains(at))
        .sort((a, b) => b.network.prefix - a.network.prefix)[0]
      assert.equal(table.find(at), best?.value ?? -1, `FUZZ_SEED=${start + n}`)
    }
  }
})

test('ranges: later ones divide earlier ones, and may not stick out of them', () => {
  const table = new RangeTable()
  assert.equal(table.add(0, 0x2ffff, 1), null)
  assert.equal(table.add(0x100, 0x1ff, 2), null)
  assert.equal(table.add(0x100, 0x1ff, 3), 2)
  assert.deepEqual(table.add(0x1f0, 0x210, 4), { first: 0x200, last: 0xffff })
  assert.ok(!table.delete(0x100, 0x1fe))
  assert.ok(table.delete(0x100, 0x1ff))
  table.freeze()
  assert.deepEqual(
    [0, 0xff, 0x100, 0x1ff, 0x200, 0x2ffff, 0x30000].map(at => table.find(at)),
    [1, 1, -1, -1, 1, 1, -1],
  )
})
