// Messages for tasks, in Python: any input, in any split.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'node:test'
import { needs } from '../helpers/needs.ts'

test('messages for tasks: any input is read or refused, and the split does not matter', t => {
  if (!needs(t, 'python3')) return
  const seed = process.env['FUZZ_SEED'] ?? String(Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const env = {
    ...process.env,
    PYTHONPATH: join(import.meta.dirname, '../../python'),
    PYTHONDONTWRITEBYTECODE: '1',
    FUZZ_SEED: seed,
  }
  const run = spawnSync('python3', [join(import.meta.dirname, 'fuzz_dirty.py')], { env, encoding: 'utf8' })
  assert.equal(run.status, 0, run.stderr)
})
