// One sync worker with applications of Django and Flask, where the system has them.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { PYTHON } from '../helpers/needs.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { serve } from './front.ts'

const has = (module: string) => spawnSync(PYTHON, ['-c', `import ${module}`], { stdio: 'ignore' }).status === 0

test('wsgi: Django answers, streams, takes forms and sends files', async t => {
  if (!has('django')) return t.skip('no Django')
  const { front } = await serve(t, { module: 'django_hello', python: PYTHON })
  const hello = await front.get('/hello/?name=portico')
  assert.deepEqual([hello.status, hello.body, hello.whole], ['200 OK', 'hello from django portico', true])
  const body = Buffer.from('a=1&b=2')
  const type = 'application/x-www-form-urlencoded'
  const form = { REQUEST_METHOD: 'POST', CONTENT_TYPE: type, CONTENT_LENGTH: String(body.length) }
  assert.equal((await front.get('/form/', form, body)).body, 'a=1,b=2')
  assert.equal((await front.get('/stream/')).body, '01234')
  const path = join(tempDir(t), 'large')
  writeFileSync(path, Buffer.alloc(100_000, 'z'))
  const file = await front.get(`/file/?path=${path}`)
  assert.deepEqual([file.files, file.headers['content-length']], [[{ path, offset: 0, length: 100_000 }], '100000'])
  assert.equal((await front.get('/broken/')).status, '500 Internal Server Error')
  assert.equal((await front.get('/missing')).status, '404 Not Found')
})

test('wsgi: Flask answers, streams, takes forms and logs its errors', async t => {
  if (!has('flask')) return t.skip('no Flask')
  const { front } = await serve(t, { module: 'flask_hello:app', python: PYTHON })
  const hello = await front.get('/hello?name=portico')
  assert.deepEqual([hello.status, hello.body, hello.whole], ['200 OK', 'hello from flask portico', true])
  const body = Buffer.from('a=1&b=2')
  const type = 'application/x-www-form-urlencoded'
  const form = { REQUEST_METHOD: 'POST', CONTENT_TYPE: type, CONTENT_LENGTH: String(body.length) }
  assert.equal((await front.get('/form', form, body)).body, 'a=1,b=2')
  assert.equal((await front.get('/stream')).body, '01234')
  assert.equal((await front.get('/broken')).status, '500 INTERNAL SERVER ERROR')
  assert.match(front.logs.map(log => log.text).join('\n'), /ValueError: in a view/)
})
