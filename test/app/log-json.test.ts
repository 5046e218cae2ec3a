// logconfig_json: a configuration of Python's logging from a file, for the access log and the application's errors.

import assert from 'node:assert/strict'
import { eventually } from '../helpers/eventually.ts'
import { PYTHON } from '../helpers/needs.ts'
import test from '../helpers/python-test.ts'
import { get } from '../helpers/raw.ts'
import { serveApp } from '../helpers/serve.ts'
import { runServe } from '../cli/serve-command.ts'

const APP = `def app(environ, start_response):
    if environ['PATH_INFO'] == '/boom':
        raise ValueError('boom')
    start_response('200 OK', [])
    return [b'ok']
`
const env = { PORTICO_PYTHON: PYTHON }

test('serve: logconfig_json configures the logs that workers write', async t => {
  const handler = (filename: string): object => ({ class: 'logging.FileHandler', filename, formatter: 'own' })
  const logger = (name: string): object => ({ level: 'INFO', handlers: [name], propagate: false })
  const logging = {
    version: 1,
    formatters: { own: { format: 'own: %(message)s' } },
    handlers: { access: handler('access.out'), error: handler('error.out') },
    loggers: { 'gunicorn.access': logger('access'), 'gunicorn.error': logger('error') },
  }
  const files = { 'app.py': APP, 'log.json': JSON.stringify(logging) }
  const args = ['--log-config-json', 'log.json', '--access-logformat', '%(m)s %(U)s', 'app:app']
  const server = await serveApp(t, args, { files, env })
  await get(server.port, '/z')
  await eventually(() => server.file('access.out').includes('own: GET /z\n'))
  assert.equal((await get(server.port, '/boom')).status, 500)
  await eventually(() => /^own: .*\/boom/m.test(server.file('error.out')))
})

test('serve: a logconfig_json that is not there ends the start', t => {
  const { status, stderr } = runServe(t, ['--log-config-json', 'none.json', 'hello:application'])
  assert.equal(status, 1)
  assert.match(stderr, /none\.json/)
})
