// Names of applications that can be none, and hooks and classes that a configuration file names wrongly: each is told in a line that
// says what it is.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { runServe } from '../cli/serve-command.ts'
import test from '../helpers/python-test.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { Zygote } from './front.ts'

const mistakes: Readonly<Record<string, string>> = {
  'basic:made(': '"made(" is not a name nor a call',
  'basic:1made': '"1made" is not a name nor a call',
  'basic:(application)': '"(application)": neither a name nor a call',
  'basic:application + 1': '"application + 1": neither a name nor a call',
  'basic:made()()': '"made()()": only a name can be called',
  'basic:made().application()': '"made().application()": only a name can be called',
  'basic:made(**{})': '"made(**{})": "**" cannot be used',
  'basic:made(name)': '"made(name)": arguments must be literals',
  '.basic:application': '".basic" is not the name of a module',
  'ba-sic:application': '"ba-sic" is not the name of a module',
  ':application': 'no module is named',
}

for (const [module, why] of Object.entries(mistakes)) {
  test(`loader: "${module}" is told to be no name of an application`, async t => {
    const zygote = new Zygote(t, { module })
    const { error, traceback } = await zygote.next('failed')
    assert.deepEqual([error, traceback], [`cannot load "${module}": ${why}`, ''])
    assert.deepEqual(await zygote.exited, [4, null])
  })
}

const HOOKS = `import os
def post_fork(server, worker):
    open(os.environ['SAID'], 'a').close()
def of_three(server, worker, more):
    pass
value = 3
class Sync:
    pass
def worker_class():
    return 'gthread'
`

function check(t: Parameters<typeof runServe>[0], config: string): { status: number | null; stderr: string } {
  const files = { 'own_hooks.py': HOOKS, 'gunicorn.conf.py': `import own_hooks\n${config}\n` }
  return runServe(t, ['--check-config', 'hello:application'], files)
}

test('configuration file: hooks and classes that are none are told by name, and end the start', t => {
  const wrong: Readonly<Record<string, RegExp>> = {
    'post_fork = 5': /^Error: post_fork is not callable: 5$/m,
    "post_fork = 'plain'": /^Error: post_fork: 'plain' is no dotted name of a function$/m,
    "post_fork = 'own_hooks.value'": /^Error: post_fork is not callable: 3$/m,
    "post_fork = 'own_hooks.of_three'": /^Error: post_fork takes 3 arguments instead of 2$/m,
    "post_fork = 'own_hooks.nothing'": /has no attribute 'nothing'$/m,
    "post_fork = 'nowhere.nothing'": /No module named 'nowhere'$/m,
    'worker_class = 5': /^Error: a class is needed, or its name, not 5$/m,
    'worker_class = lambda: 5': /^Error: a class is needed, or its name, not 5$/m,
  }
  for (const [config, why] of Object.entries(wrong)) {
    const { status, stderr } = check(t, config)
    assert.equal(status, 1, config)
    assert.match(stderr, why, config)
    assert.match(stderr, /"\.\/gunicorn\.conf\.py" could not be read/, config)
  }
})

test('configuration file: a hook may be given by its dotted name, a class by what returns its own', t => {
  const dir = tempDir(t)
  const said = join(dir, 'said')
  const config = "import own_hooks\npost_fork = 'own_hooks.post_fork'\nworker_class = own_hooks.worker_class\n"
  const files = { 'own_hooks.py': HOOKS, 'gunicorn.conf.py': `${config}threads = 2\n` }
  const printed = runServe(t, ['--print-config', 'hello:application'], files)
  assert.match(printed.stdout, /^ +kind threads;$/m)
  assert.match(printed.stdout, /post_fork/)
  // The worker that would serve is no part of a check, so nothing has been forked.
  assert.equal(runServe(t, ['--check-config', 'hello:application'], files, { SAID: said }).status, 0)
  assert.ok(!existsSync(said))
})
