// Whether the front's threads have heard something, without threads.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Echoes } from '../../src/cli/echoes.ts'

test('echoes: heard is what all threads have answered, each question for itself', async () => {
  const asked: number[] = []
  const echoes = new Echoes(2, id => asked.push(id))
  const heard: string[] = []
  const first = echoes.heard().then(() => heard.push('first'))
  const second = echoes.heard().then(() => heard.push('second'))
  const [one, two] = asked
  echoes.answered(two!)
  echoes.answered(one!)
  echoes.answered(99)
  echoes.answered(two!)
  await second
  assert.deepEqual(heard, ['second'])
  echoes.answered(one!)
  await first
  assert.deepEqual(heard, ['second', 'first'])
})

test('echoes: threads that have gone are not waited for', async () => {
  const echoes = new Echoes(2, () => {})
  const before = echoes.heard()
  echoes.end()
  await before
  await echoes.heard()
})
