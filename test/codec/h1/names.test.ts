import test from 'node:test'
import assert from 'node:assert/strict'
import * as table from '../../../src/codec/h1/names.ts'
import { bytes } from './feeding.ts'

test('names: every name is found, whatever its case, and nothing else is', () => {
  for (const [id, name] of table.NAMES.entries()) {
    if (id === 0) continue
    for (const spelled of [name, name.toUpperCase()])
      assert.equal(table.knownName(bytes(`x${spelled}:`), 1, 1 + name.length), id)
    assert.equal(table.knownName(bytes(`${name}x`), 0, name.length + 1), 0)
  }
  assert.equal(new Set(table.NAMES).size, table.NAMES.length)
})

test('names: the constants stand where they say', () => {
  const constants = Object.entries(table).flatMap(([name, id]) => (typeof id === 'number' ? [{ name, id }] : []))
  assert.equal(constants.length, 31)
  for (const { name, id } of constants) assert.equal(table.NAMES[id], name.toLowerCase().replaceAll('_', '-'))
})
