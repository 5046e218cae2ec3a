// Lines that an application itself has for Gunicorn's access log, while the front logs the requests.

import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, needs, PYTHON, serveApp } from '../helpers/index.ts'

const env = { PORTICO_PYTHON: PYTHON }
const files = {
  'own.py': `import logging
def application(environ, start_response):
    logging.getLogger('gunicorn.access').info('own line for %s', environ['PATH_INFO'])
    start_response('200 OK', [])
    return [b'ok']
`,
}
const FORMAT = ['--access-logformat', 'request %(U)s']

test('they are in its file, beside the requests, and in the new one after a rotation', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--access-logfile', 'a.log', ...FORMAT, 'own'], { files, env })
  await get(server.port, '/1')
  await eventually(() => server.file('a.log').includes('request /1'))
  assert.deepEqual(server.file('a.log').trim().split('\n').toSorted(), ['own line for /1', 'request /1'])
  renameSync(join(server.dir, 'a.log'), join(server.dir, 'a.log.1'))
  server.signal('SIGUSR1')
  // One process makes the file, another one goes over to it a moment later.
  await eventually(async () => {
    await get(server.port, '/2')
    return server.file('a.log').includes('request /2')
  })
  assert.match(server.file('a.log'), /^own line for \/2$/m)
})

test('they are on standard output with "-", and nowhere without a log', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--access-logfile', '-', ...FORMAT, 'own'], { files, env })
  await get(server.port, '/1')
  await eventually(() => /^own line for \/1$/m.test(server.output) && /^request \/1$/m.test(server.output))
  const without = await serveApp(t, ['own'], { files, env })
  assert.equal((await get(without.port, '/1')).status, 200)
  assert.doesNotMatch(without.output, /own line/)
})

test('a file that cannot be opened any more is not its error', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--access-logfile', 'logs/a.log', ...FORMAT, 'own'], {
    files: { ...files, 'logs/x': '' },
    env,
  })
  assert.equal((await get(server.port, '/1')).status, 200)
  renameSync(join(server.dir, 'logs'), join(server.dir, 'moved'))
  assert.equal((await get(server.port, '/1')).status, 200)
})
