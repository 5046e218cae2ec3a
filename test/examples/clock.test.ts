// The clock's handler, called as any server of web Requests would call it.

import assert from 'node:assert/strict'
import test from 'node:test'
import clock from '../../examples/clock/server.ts'

test('clock: the page shows the path, escaped, and the process', async () => {
  const response = clock(new Request('http://localhost/node/a&b?x=1'))
  const text = await response.text()
  assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
  assert.match(text, /GET \/node\/a&amp;b\?x=1/)
  assert.ok(text.includes(String(process.pid)))
})

test('clock: JSON is given to those who ask for it', async () => {
  const headers = { accept: 'application/json' }
  const answer = (await clock(new Request('http://localhost/node/', { headers })).json()) as Record<string, unknown>
  assert.equal(answer['path'], '/node/')
  assert.equal(answer['pid'], process.pid)
  assert.ok(Math.abs(Date.now() - Date.parse(String(answer['time']))) < 5000)
})
