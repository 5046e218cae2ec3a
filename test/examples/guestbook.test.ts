// The guest-book must be a good WSGI citizen anywhere, so it is tried on the original Gunicorn, with several workers.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test, { before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fileScope, get, gunicorn, isMissing, load, request, tempDir } from '../helpers/index.ts'
import type { Gunicorn } from '../helpers/index.ts'

const directory = fileURLToPath(new URL('../../examples/guestbook', import.meta.url))
const skip = isMissing('gunicorn') ? 'gunicorn missing: on Debian, "apt-get install gunicorn"' : false
const file = fileScope()
let server: Gunicorn

before(async () => {
  if (skip !== false) return
  const env = { GUESTBOOK_DATA: tempDir(file) }
  server = await gunicorn(file, 'app:application', { dir: directory, args: ['--workers', '3'], env })
})

function sign(name: string, message: string): ReturnType<typeof request> {
  const body = new URLSearchParams({ name, message }).toString()
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
  return request({ address: server.port, method: 'POST', path: '/sign', headers, body })
}

test('guestbook: a signed entry is shown, escaped, by every worker', { skip }, async () => {
  const answer = await sign('Zoë <b>', 'line one\nline & two')
  assert.equal(answer.status, 303)
  assert.equal(answer.header('location'), '/')
  for (let i = 0; i < 6; i++) {
    const { text } = await get(server.port)
    assert.match(text, /line one<br>line &amp; two/)
    assert.match(text, /Zoë &lt;b&gt;/)
  }
})

test('guestbook: entries signed at the same time are all kept', { skip }, async () => {
  const result = await load(server.port, {
    connections: 6,
    requests: 30,
    keepAlive: false,
    method: 'POST',
    path: '/sign',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: 'message=together',
  })
  assert.deepEqual(result.statuses, { 303: 30 })
  assert.equal((await get(server.port)).text.match(/<p>together<\/p>/g)?.length, 30)
})

test('guestbook: an empty message and a huge form are refused', { skip }, async () => {
  assert.equal((await sign('x', '  ')).status, 422)
  assert.equal((await sign('x', 'y'.repeat(20_000))).status, 413)
})

test('guestbook: an upload is measured to the byte, whatever is in it', { skip }, async () => {
  const contents = [
    '',
    'plain',
    'ends with a break\r\n',
    '\r\n--wall',
    '\n\n',
    'x'.repeat(200_000),
    '\0\xff\r\r\n--wal',
  ]
  for (const content of contents) {
    const bytes = Buffer.from(content, 'latin1')
    const head = '--wall7\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from('\r\n--wall7--\r\n')])
    const headers = { 'Content-Type': 'multipart/form-data; boundary=wall7' }
    const { status, text } = await request({ address: server.port, method: 'POST', path: '/upload', headers, body })
    assert.equal(status, 200)
    assert.ok(text.includes(`<td>${bytes.length.toLocaleString('en')} bytes</td>`), text)
    assert.ok(text.includes(createHash('sha256').update(bytes).digest('hex')), JSON.stringify(content.slice(0, 20)))
  }
})

test(
  'guestbook: stream comes in pieces, slow takes its time, unknown paths and methods are told',
  { skip },
  async () => {
    const streamed = await get(server.port, '/stream?lines=3')
    assert.equal(streamed.header('transfer-encoding'), 'chunked')
    assert.equal(streamed.text.split('\n').length, 4)
    const begun = performance.now()
    assert.equal((await get(server.port, '/slow?seconds=0.3')).status, 200)
    assert.ok(performance.now() - begun >= 290)
    assert.equal((await get(server.port, '/slow?seconds=-1')).status, 200)
    assert.match((await get(server.port, '/info')).text, /<th>REQUEST_METHOD<\/th><td>GET<\/td>/)
    assert.equal((await get(server.port, '/nowhere')).status, 404)
    const refused = await request({ address: server.port, method: 'DELETE', path: '/sign' })
    assert.equal(refused.status, 405)
    assert.equal(refused.header('allow'), 'POST')
  },
)
