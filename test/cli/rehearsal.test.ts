// `-t` tries the addresses of all blocks, as nginx does, and nothing of it stays.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { check } from '../helpers/check.ts'
import { atEnd, tempDir, writeFiles } from '../helpers/index.ts'

const NOT_OURS = 'bind() to 192.0.2.1:5000 failed (99: Cannot assign requested address)'

const cases: readonly (readonly [block: string, problem: string])[] = [
  ['http { server { listen 192.0.2.1:5000; } }', NOT_OURS],
  ['http { server { listen unix:%/no/s; } }', 'bind() to unix:%/no/s failed (2: No such file or directory)'],
  ['stream { server { listen 192.0.2.1:5000; return x; } }', NOT_OURS],
  ['stream { server { listen 192.0.2.1:5000 udp; return x; } }', NOT_OURS],
  ['stream { server { listen 192.0.2.1:5000 udp reuseport; return x; } }', NOT_OURS],
  [
    'stream { server { listen unix:%/no/s; return x; } }',
    'bind() to unix:%/no/s failed (2: No such file or directory)',
  ],
  ['mail { auth_http 127.0.0.1; server { listen 192.0.2.1:5000; protocol imap; } }', NOT_OURS],
]

for (const [block, problem] of cases) {
  test(`-t tries the address of ${block}`, t => {
    const dir = tempDir(t)
    writeFiles(dir, { 'a.conf': `events { } ${block.replaceAll('%', dir)}` })
    const { status, stderr } = check(dir, join(dir, 'a.conf'))
    assert.equal(status, 1, stderr)
    assert.ok(stderr.includes(`portico: [emerg] ${problem.replaceAll('%', dir)}\n`), stderr)
  })
}

test('-t leaves Unix sockets as they are: those that are there, and those that are not', async t => {
  const dir = tempDir(t)
  const running = net.createServer().listen(join(dir, 'running.sock'))
  atEnd(t, () => void running.close())
  await new Promise(resolve => void running.once('listening', resolve))
  const servers = ['running.sock', 'new.sock'].map(name => `server { listen unix:${dir}/${name}; return x; }`).join(' ')
  writeFiles(dir, { 'a.conf': `events { } stream { ${servers} }` })
  const { status, stderr } = check(dir, join(dir, 'a.conf'))
  assert.equal(status, 0, stderr)
  assert.deepEqual(
    readdirSync(dir).filter(name => name.endsWith('.sock')),
    ['running.sock'],
  )
})
