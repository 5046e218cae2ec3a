// A pid file that cannot be written is found before anything is started or changed for its sake.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { tryPidFile } from '../../src/process/pid-file.ts'
import { eventually, get, PORTICO, serve, tempDir, writeFiles } from '../helpers/index.ts'

test('pid file: what could be written is told from what could not, and nothing is made', t => {
  const dir = tempDir(t)
  writeFiles(dir, { old: '1\n' })
  mkdirSync(join(dir, 'folder'))
  symlinkSync('nowhere', join(dir, 'link'))
  for (const path of [join(dir, 'old'), join(dir, 'new'), join(dir, 'link'), '/dev/null']) tryPidFile(path)
  for (const [path, why] of [
    [join(dir, 'folder'), '21: Is a directory'],
    [join(dir, 'none', 'a.pid'), '2: No such file or directory'],
    [join(dir, 'old', 'a.pid'), '20: Not a directory'],
  ] as const) {
    assert.throws(() => tryPidFile(path), { message: `open() "${path}" failed (${why})` })
  }
  assert.deepEqual(readdirSync(dir).sort(), ['folder', 'link', 'old'])
})

test('pid file: without one nothing starts', t => {
  const dir = tempDir(t)
  writeFiles(dir, {
    'a.conf': 'daemon off; events {} pid none/a.pid; http { server { listen unix:a.sock; return 200; } }',
    'logs/.keep': '',
  })
  const { status, stderr } = spawnSync(PORTICO, ['-p', dir, '-c', 'a.conf', '-e', 'e.log'], { encoding: 'latin1' })
  assert.equal(status, 1)
  assert.equal(stderr, `portico: [emerg] open() "${dir}/none/a.pid" failed (2: No such file or directory)\n`)
  assert.doesNotMatch(spawnSync('cat', [join(dir, 'e.log')], { encoding: 'latin1' }).stdout, /start worker process/)
})

test('pid file: a reload that cannot write a new one changes nothing', async t => {
  const conf = (text: string, rest = ''): string =>
    `${rest} http { server { listen 127.0.0.1:%%PORT_0%%; return 200 ${text}; } }`
  const server = await serve(t, conf('old'))
  await server.reload(conf('new', 'pid %%DIR%%/none/a.pid;'))
  await eventually(() => server.errorLog().includes('the old configuration stays: open() '))
  assert.equal((await get(server.port, '/')).text, 'old')
  assert.equal(server.file('portico.pid'), `${server.child.pid}\n`)
})
