// Fuzzers written in Python, which fail by themselves.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** @param file of this folder; it takes its seed from FUZZ_SEED */
export function runFuzzer(t: TestContext, file: string, python = process.env['PORTICO_PYTHON'] || 'python3'): void {
  const seed = process.env['FUZZ_SEED'] ?? String(Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const env = {
    ...process.env,
    PYTHONPATH: join(import.meta.dirname, '../../python'),
    PYTHONDONTWRITEBYTECODE: '1',
    FUZZ_SEED: seed,
  }
  const run = spawnSync(python, [join(import.meta.dirname, file)], {
    env,
    encoding: 'utf8',
  })
  assert.equal(run.status, 0, run.stderr)
}
