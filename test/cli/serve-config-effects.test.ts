// What a configuration file does beside its settings, as it does with Gunicorn, whose arbiter runs it.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, needs, serveApp } from '../helpers/index.ts'
import { env, runServe } from './serve-command.ts'

const APP = `import json, logging, os, sys
def app(environ, start_response):
    logging.warning('logged by the application')
    start_response('200 OK', [])
    return [json.dumps([os.environ.get('COLOUR'), '/own/place' in sys.path, sys.argv, getattr(json, 'patched', 0)]).encode()]
`

const conf = (colour: string): string => `import json, logging, os, sys
os.environ['COLOUR'] = '${colour}'
sys.path.append('/own/place')
sys.argv = ['own', 'words']
json.patched = 1
print('told once')
logging.basicConfig(stream=sys.stdout, format='in its own form: %(message)s')
`

for (const args of [[], ['--preload']]) {
  test(`a file without hooks changes what the application finds ${args.join(' ')}`, async t => {
    if (!needs(t, 'python3')) return
    const files = { 'app.py': APP, 'gunicorn.conf.py': conf('red') }
    const server = await serveApp(t, [...args, 'app:app'], { files, env })
    const found = async (): Promise<string> => (await get(server.port)).text
    assert.deepEqual(JSON.parse(await found()), ['red', true, ['own', 'words'], 1])
    await eventually(() => server.output.includes('in its own form: logged by the application'))
    writeFileSync(join(server.dir, 'gunicorn.conf.py'), conf('blue'))
    server.signal('SIGHUP')
    await eventually(async () => (await found()).includes('blue'))
    assert.equal(server.output.match(/^told once$/gm)?.length, 2, 'once for each time it is read')
  })
}

test('a file that lets eventlet patch the library is refused in one line', t => {
  if (!needs(t, 'python3')) return
  const files = { 'app.py': APP, 'gunicorn.conf.py': 'import select\ndel select.poll\n' }
  const { status, stderr } = runServe(t, ['--check-config', 'app:app'], files)
  assert.equal(status, 1)
  assert.match(
    stderr,
    /^portico serve: \.\/gunicorn\.conf\.py lets eventlet patch the standard library, and only gevent may/,
  )
  assert.doesNotMatch(stderr, /Traceback/)
})
