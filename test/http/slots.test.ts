import assert from 'node:assert/strict'
import test from 'node:test'
import { freshSlots, inheritSlots, Slot } from '../../src/http/module.ts'
import type { HttpRequest } from '../../src/http/request.ts'

function request(): HttpRequest {
  return { slots: freshSlots() } as unknown as HttpRequest
}

test('a slot that nobody has used takes no room in a request', () => {
  const before = request().slots.length
  const slot = new Slot<string>()
  const r = request()
  assert.equal(slot.get(r), null)
  slot.set(r, null)
  assert.equal(request().slots.length, before)
  slot.set(r, 'here')
  assert.equal(slot.get(r), 'here')
  assert.equal(request().slots.length, before + 1)
})

test('a request that is older than the first use of a slot has it all the same', () => {
  const old = request()
  const slots = [new Slot<number>(), new Slot<number>(), new Slot<number>()]
  const newer = request()
  for (const [i, slot] of slots.entries()) slot.set(newer, i)
  assert.deepEqual(
    slots.map(slot => slot.get(old)),
    [null, null, null],
  )
  slots[2]!.set(old, 9)
  assert.deepEqual(
    slots.map(slot => slot.get(old)),
    [null, null, 9],
  )
  assert.deepEqual(
    slots.map(slot => slot.get(newer)),
    [0, 1, 2],
  )
})

test('subrequests begin with those of their parent that are for them', () => {
  const own = new Slot<string>()
  const shared = new Slot<string>('subrequests')
  const unused = new Slot<string>('subrequests')
  const parent = request()
  const sub = request()
  own.set(parent, 'own')
  shared.set(parent, 'shared')
  inheritSlots(parent, sub)
  assert.deepEqual([own.get(sub), shared.get(sub), unused.get(sub)], [null, 'shared', null])
})
