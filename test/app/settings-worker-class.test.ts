// Worker classes that are not Gunicorn's own: what they are taken for, and what is said of it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { readCommandLine } from '../../src/app/settings/command-line.ts'
import { learnWorkerClass } from '../../src/app/settings/serving.ts'

const GEVENT = 'gunicorn.workers.ggevent.GeventPyWSGIWorker'
const WITH_WEBSOCKETS = 'geventwebsocket.gunicorn.workers.GeventWebSocketWorker'

test('settings: a class of gevent-websocket is taken for gevent, with a warning', () => {
  learnWorkerClass(WITH_WEBSOCKETS, [WITH_WEBSOCKETS, GEVENT])
  learnWorkerClass('own.Worker', ['own.Worker', WITH_WEBSOCKETS, GEVENT])
  for (const name of [WITH_WEBSOCKETS, 'own.Worker']) {
    const { settings, warnings } = readCommandLine(['-k', name, 'a'], {})
    assert.equal(settings.worker_class, 'gevent')
    assert.match(warnings.join(), /^worker_class: workers of WSGI applications have no websockets/)
  }
})

test('settings: the same in a file, unless the command line says another class', () => {
  const file = { location: 'c.py', values: { worker_class: ['own.Other', WITH_WEBSOCKETS, GEVENT] } }
  assert.match(readCommandLine(['a'], {}, file).warnings.join(), /no websockets/)
  assert.deepEqual(readCommandLine(['-k', 'gevent', 'a'], {}, file).warnings, [])
})

test('settings: gevent itself promises none', () => {
  assert.deepEqual(readCommandLine(['-k', 'gevent', 'a'], {}).warnings, [])
})
