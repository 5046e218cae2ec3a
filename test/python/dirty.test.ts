// Messages for tasks, in Python: any input, in any split.

import test from 'node:test'
import { needs } from '../helpers/needs.ts'
import { runFuzzer } from './fuzzer.ts'

test('messages for tasks: any input is read or refused, and the split does not matter', t => {
  if (!needs(t, 'python3')) return
  runFuzzer(t, 'fuzz_dirty.py')
})
