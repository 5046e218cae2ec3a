// Where a filter of system calls (seccomp) kills whoever asks for a scheduling policy, as units of systemd have it that say
// `SystemCallFilter=~@resources`.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { get, needs, PYTHON, serveApp, tempDir, writeFiles } from '../helpers/index.ts'
import { HELLO } from './serve-command.ts'

/** A Python without sched_setscheduler(): a filter of four instructions that each process started by it inherits. */
const FILTERED = `#!${PYTHON}
import ctypes, os, struct, sys
NUMBER = {'x86_64': 144, 'aarch64': 119}[os.uname().machine]
KILL_PROCESS, ALLOW = 0x80000000, 0x7fff0000
program = b''.join(struct.pack('HBBI', *step) for step in (
    (0x20, 0, 0, 0),       # load the call's number
    (0x15, 0, 1, NUMBER),  # another one: pass over the next
    (0x06, 0, 0, KILL_PROCESS),
    (0x06, 0, 0, ALLOW),
))
code = ctypes.create_string_buffer(program)
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('code', ctypes.c_void_p)]
libc = ctypes.CDLL(None)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
given = Program(4, ctypes.addressof(code))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.addressof(given), 0, 0):
    sys.exit(9)
os.execv(${JSON.stringify(PYTHON)}, [${JSON.stringify(PYTHON)}] + sys.argv[1:])
`

test('workers live where asking for a scheduling policy kills', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  writeFiles(dir, { python: FILTERED })
  const python = join(dir, 'python')
  chmodSync(python, 0o755)
  const asked = spawnSync(python, ['-c', 'import os; os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))'])
  if (asked.signal !== 'SIGSYS') {
    t.skip('there is no seccomp here')
    return
  }
  for (const kind of ['sync', 'gthread']) {
    const files = { 'hello.py': HELLO }
    const server = await serveApp(t, ['-k', kind, '-w', '2', 'hello'], { files, env: { PORTICO_PYTHON: python } })
    assert.equal((await get(server.port)).text, 'hello')
    await server.stop()
    assert.doesNotMatch(server.output, /signal/)
  }
})
