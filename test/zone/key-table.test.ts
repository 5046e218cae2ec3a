import assert from 'node:assert/strict'
import test from 'node:test'
import { Worker } from 'node:worker_threads'
import { KeyTable } from '../../src/zone/key-table.ts'
import { Random, seed } from '../codec/h1/feeding.ts'

const start = seed()
const tableUrl = new URL('../../src/zone/key-table.ts', import.meta.url).href

function tableOf(bytes: number): KeyTable {
  const table = new KeyTable(new SharedArrayBuffer(bytes))
  table.lock()
  return table
}

test('keys short and long are found again, with their numbers', () => {
  const table = tableOf(32768)
  const keys = ['', 'a', 'b', 'x'.repeat(32), 'x'.repeat(33), 'x'.repeat(34), '\0\0', '\0']
  for (const [i, key] of keys.entries()) {
    assert.equal(table.find(key), 0)
    table.values[table.valuesAt(table.add())] = i + 1
  }
  for (const [i, key] of keys.entries()) assert.equal(table.values[table.valuesAt(table.find(key))], i + 1)
  assert.equal(table.size, keys.length)
})

test('a full table takes nothing more until something goes, the least recently used first', () => {
  const table = tableOf(32768)
  for (let i = 0; i < table.capacity; i++) {
    assert.equal(table.find(`${i}`), 0)
    assert.notEqual(table.add(), 0)
  }
  assert.ok(table.capacity > 400)
  table.touch(table.find('0'))
  table.find('more')
  assert.equal(table.add(), 0)
  assert.equal(table.oldest(), table.find('1'))
  table.remove(table.oldest())
  table.find('more')
  assert.notEqual(table.add(), 0)
  assert.equal(table.find('1'), 0)
  assert.notEqual(table.find('0'), 0)
})

test(`fuzz: the table holds what a Map holds, in order of use (seed ${start})`, () => {
  const random = new Random(start)
  const table = tableOf(4096)
  const model = new Map<string, number>()
  for (let n = 0; n < 20000; n++) {
    const key = `${random.below(100)}${random.below(3) === 0 ? 'long'.repeat(9) : ''}`
    const entry = table.find(key)
    assert.equal(entry !== 0, model.has(key), `FUZZ_SEED=${start}`)
    if (entry === 0) {
      const added = table.add()
      assert.equal(added !== 0, model.size < table.capacity)
      if (added === 0) {
        const [oldest] = model.keys()
        assert.equal(table.oldest(), table.find(oldest!))
        table.remove(table.oldest())
        model.delete(oldest!)
        continue
      }
      table.values[table.valuesAt(added)] = n
      model.set(key, n)
    } else if (random.below(2) === 0) {
      table.remove(entry)
      model.delete(key)
    } else {
      assert.equal(table.values[table.valuesAt(entry)], model.get(key))
      table.touch(entry)
      const value = model.get(key)!
      model.delete(key)
      model.set(key, value)
    }
  }
  assert.equal(table.size, model.size)
})

test('threads that count under the lock lose nothing', async () => {
  const memory = new SharedArrayBuffer(32768)
  const code = `
    const { workerData } = require('node:worker_threads')
    import(${JSON.stringify(tableUrl)}).then(({ KeyTable }) => {
      const table = new KeyTable(workerData)
      for (let i = 0; i < 20000; i++) {
        table.lock()
        const entry = table.find('k' + (i % 7)) || table.add()
        table.values[table.valuesAt(entry)]++
        table.unlock()
      }
    })`
  const workers = Array.from({ length: 3 }, () => new Worker(code, { eval: true, workerData: memory }))
  await Promise.all(workers.map(worker => new Promise(resolve => worker.once('exit', resolve))))
  const table = new KeyTable(memory)
  table.lock()
  let total = 0
  for (let i = 0; i < 7; i++) total += table.values[table.valuesAt(table.find(`k${i}`))]!
  assert.equal(total, 60000)
})

test('a lock whose holder is dead is taken after a while, and the table begins anew', () => {
  const memory = new SharedArrayBuffer(32768)
  const dead = new KeyTable(memory)
  dead.lock()
  dead.find('a')
  dead.add()
  const table = new KeyTable(memory)
  table.lock()
  assert.equal(table.size, 0)
  assert.equal(table.find('a'), 0)
  table.unlock()
})

test('whoever chooses the keys does not choose their chains', () => {
  // Addresses of one IPv6 network that a hash without a secret puts into one chain: that of FNV by words, times over.
  const prime = 0x01000193
  let state = 0x811c9dc5 ^ 16
  for (const word of [0x20010db8, 1]) state = Math.imul(state ^ word, prime)
  const keys = Array.from({ length: 2000 }, (_, i) => {
    const bytes = Buffer.alloc(16)
    bytes.writeInt32LE(0x20010db8, 0)
    bytes.writeInt32LE(1, 4)
    bytes.writeInt32LE(i, 8)
    bytes.writeInt32LE(Math.imul(state ^ i, prime) ^ 12345, 12)
    return bytes.toString('latin1')
  })
  const memory = new SharedArrayBuffer(1 << 20)
  const table = new KeyTable(memory)
  table.lock()
  for (const key of keys) {
    assert.equal(table.find(key), 0)
    assert.notEqual(table.add(), 0)
  }
  assert.ok(longestChain(memory, table.capacity) < 12)
  // Another table has another secret.
  const other = tableOf(1 << 20)
  const orderOf = (one: KeyTable): number[] => {
    for (const key of keys) if (one.find(key) === 0) one.add()
    return keys.map(key => chainOf(one, key))
  }
  assert.notDeepEqual(orderOf(other), orderOf(table))
})

interface Inside {
  readonly words: Int32Array
  bucket(): number
}

/** The bucket that a key is looked for in. */
function chainOf(table: KeyTable, key: string): number {
  table.find(key)
  return (table as unknown as Inside).bucket()
}

function longestChain(memory: SharedArrayBuffer, capacity: number): number {
  const words = new Int32Array(memory)
  const [header, entries] = [16, 16 + capacity]
  let longest = 0
  for (let bucket = 0; bucket < capacity; bucket++) {
    let length = 0
    for (let entry = words[header + bucket]!; entry !== 0; entry = words[entries + (entry - 1) * 16]!) length++
    longest = Math.max(longest, length)
  }
  return longest
}
