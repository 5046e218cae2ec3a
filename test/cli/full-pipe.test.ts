// What the program has to say, where nobody reads it and the pipe does not wait either.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import { needs, PORTICO, PYTHON } from '../helpers/index.ts'

const RUN = `import os, subprocess, sys
out, into = os.pipe()
os.set_blocking(into, False)
try:
    while True:
        os.write(into, b'x' * 4096)
except BlockingIOError:
    pass
program = subprocess.Popen([sys.argv[1], '-t', '-c', '/nowhere.conf'], stdout=into, stderr=into)
try:
    print(program.wait(40))
finally:
    program.kill()
`

test('a command ends though nobody reads what it says', t => {
  if (!needs(t, 'python3')) return
  const { stdout, stderr } = spawnSync(PYTHON, ['-c', RUN, process.env['PORTICO_BIN'] ?? PORTICO], { encoding: 'utf8' })
  assert.equal(stdout, '1\n', stderr)
})
