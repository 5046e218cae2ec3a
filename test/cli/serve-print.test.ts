// What `portico serve --print-config` has no directives for is told in the configuration.

import assert from 'node:assert/strict'
import test from 'node:test'
import { needs } from '../helpers/index.ts'
import { runServe } from './serve-command.ts'

test('settings and hooks that a configuration cannot have are named in it', t => {
  if (!needs(t, 'python3')) return
  const secondLine = (args: readonly string[], conf = ''): string => {
    const { status, stdout, stderr } = runServe(t, ['--print-config', ...args, 'hello'], { 'gunicorn.conf.py': conf })
    assert.equal(status, 0, stderr)
    return stdout.split('\n')[1]!
  }
  const hooks = 'def post_fork(server, worker): pass\ndef on_exit(server): pass\n'
  assert.equal(secondLine([], hooks), '# Only "portico serve" has: post_fork, on_exit')
  assert.equal(
    secondLine(['--reload', '--capture-output', '--error-logfile', 'e.log', '-n', 'site', '--log-config-json', 'a']),
    '# Only "portico serve" has: reload, capture_output, proc_name, logconfig_json',
  )
  assert.match(
    secondLine(['--access-logfile', 'a.log', '--access-logformat', '%({user}e)s']),
    /^# Only "portico serve" has: accesslog \(/,
  )
  assert.match(secondLine(['-w', '2', '--access-logfile', 'a.log']), /^worker_processes /)
})

test('what is wrong with an option is told in one line, even where its value has several', t => {
  for (const option of ['--bind', '--workers', '--worker-class', '--reload-extra-file', '--chdir', '--env', '--user']) {
    const { status, stderr } = runServe(t, ['--print-config', `${option}=a\nb\r`, 'hello'], {})
    assert.equal(status, 2)
    assert.match(stderr, /^portico serve: .*a\\nb.*\n$/, option)
  }
})
