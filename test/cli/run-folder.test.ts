// The folder of one run of `portico serve`.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import test from 'node:test'
import { tempDir } from '../helpers/temp-dir.ts'

test('run folder: it goes even where no descriptor is left to look into it', t => {
  const dir = tempDir(t)
  const script = `
    import { openSync } from 'node:fs'
    import { RunFolder } from '${new URL('../../src/cli/run-folder.ts', import.meta.url).href}'
    const folder = new RunFolder()
    try {
      for (;;) openSync('/dev/null')
    } catch {
      // As wanted.
    }
    folder.remove()
  `
  const node = [process.execPath, '--input-type=module', '-e', script]
  const { status, stderr } = spawnSync('sh', ['-c', 'ulimit -n 100; exec "$@"', 'sh', ...node], {
    encoding: 'latin1',
    env: { ...process.env, TMPDIR: dir },
  })
  assert.deepEqual([status, stderr, readdirSync(dir)], [0, '', []])
})
