// What a first try gets wrong: each mistake is one line that tells what may have been meant.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ServeLog } from '../../src/cli/serve-log.ts'
import { EMERG } from '../../src/log/error-log.ts'
import { needs, PORTICO, tempDir, writeFiles } from '../helpers/index.ts'
import { runServe } from './serve-command.ts'

const FILES = {
  'hello.py': 'def app(environ, start_response): pass\n',
  'plain.py': 'def application(environ, start_response): pass\n',
  'factory.py': 'def create_app(): pass\n',
  'nothing.py': 'limit = 3\n',
  'shop/__init__.py': '',
  'shop/wsgi.py': 'def application(environ, start_response): pass\n',
  'needy.py': 'import a_package_that_is_elsewhere\n',
}

for (const [spec, said] of [
  ['hello', 'there is no "application" in DIR/hello.py, did you mean "hello:app"?'],
  ['hello:ap', 'there is no "ap" in DIR/hello.py, did you mean "hello:app"?'],
  ['plain:app', 'there is no "app" in DIR/plain.py, did you mean "plain:application"?'],
  ['factory:app', 'there is no "app" in DIR/factory.py, did you mean "factory:create_app()"?'],
  ['nothing:app', 'there is no "app" in DIR/nothing.py'],
  ['hello.app', 'there is no module "hello.app" in DIR, did you mean "hello:app"?'],
  ['shop.wsgi.application', 'there is no module "shop.wsgi.application" in DIR, did you mean "shop.wsgi:application"?'],
  ['helo:app', 'there is no module "helo" in DIR, did you mean "hello:app"?'],
  ['shop.wsgy:application', 'there is no module "shop.wsgy" in DIR, did you mean "shop.wsgi:application"?'],
  ['quite_another:app', 'there is no module "quite_another" in DIR'],
] as const) {
  test(`serve: "${spec}" is a mistake that is told in one line`, t => {
    if (!needs(t, 'python3')) return
    const dir = tempDir(t)
    const { status, stderr } = runServe(t, ['--check-config', spec], FILES, {}, dir)
    assert.equal(stderr, `portico serve: cannot load "${spec}": ${said.replace('DIR', dir)}\n`)
    assert.equal(status, 1)
  })
}

test('serve: a package that is missing reminds of the virtual environment that lies there', t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  writeFiles(dir, { ...FILES, '.venv/bin/python': '' })
  const { stderr } = runServe(t, ['--check-config', 'needy:app'], {}, {}, dir)
  assert.match(stderr, /No module named 'a_package_that_is_elsewhere'/)
  assert.ok(
    stderr.endsWith(`, and there is ${dir}/.venv/bin/python (--python, or "python" in an "app" block)\n`),
    stderr,
  )
})

test('serve: a Python that is too old is named', t => {
  const dir = tempDir(t)
  // As the bridge answers one.
  writeFiles(dir, { ...FILES, python2: '#!/bin/sh\nexit 69\n' })
  chmodSync(join(dir, 'python2'), 0o755)
  const { status, stderr } = runServe(
    t,
    ['--check-config', '--python', join(dir, 'python2'), 'hello:app'],
    FILES,
    {},
    dir,
  )
  assert.equal(
    stderr,
    `portico serve: cannot load "hello:app": its process has a Python older than 3.9 (--python, "python")\n`,
  )
  assert.equal(status, 1)
})

test('serve: a Python and a program that are not there are told without a line of a file that nobody sees', t => {
  const dir = tempDir(t)
  const python = runServe(t, ['--python', '/no/such/python', 'hello:app'], FILES, {}, dir)
  assert.equal(python.stderr, 'portico: [emerg] python "/no/such/python" does not exist\n')
  const program = runServe(t, ['server.ts'], FILES, {}, dir)
  assert.equal(program.stderr, `portico: [emerg] module "${dir}/server.ts" does not exist\n`)
})

test('serve: an address that cannot be had comes with what to do', () => {
  const said: string[] = []
  class Heard extends ServeLog {
    override say(message: string): void {
      said.push(message)
    }
  }
  const log = new Heard('portico')
  log.write(EMERG, 'bind() to 127.0.0.1:80 failed (13: Permission denied)')
  log.write(EMERG, 'bind() to unix:/x failed (13: Permission denied)')
  log.write(EMERG, 'bind() to [::1]:8000 failed (98: Address already in use)')
  assert.deepEqual(said, [
    '[emerg] bind() to 127.0.0.1:80 failed (13: Permission denied): ports below 1024 are for root, and for who has CAP_NET_BIND_SERVICE',
    '[emerg] bind() to unix:/x failed (13: Permission denied)',
    '[emerg] bind() to [::1]:8000 failed (98: Address already in use): another program listens there; -b names another address',
  ])
})

test('portico alone, where no configuration lies, tells what it could be given', t => {
  const dir = tempDir(t)
  const { status, stderr } = spawnSync(PORTICO, [], { cwd: dir, encoding: 'utf8', timeout: 60_000 })
  const [first, second, end] = stderr.split('\n')
  assert.match(first!, /^portico: \[emerg\] open\(\) ".*\/conf\/nginx\.conf" failed \(2: No such file or directory\)$/)
  assert.match(second!, /^portico: -c names a configuration, "portico serve MODULE" serves an application, /)
  assert.deepEqual([status, end], [1, ''])
})
