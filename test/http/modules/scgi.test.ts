import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { fileScope, get, isMissing, request, responder } from '../../helpers/index.ts'

const scope = fileScope()
const skip = isMissing('python3') ? 'python3 missing' : false
const peer = skip === false ? await responder(scope, 'scgi') : '127.0.0.1:1'

const server = await serveHttp(
  scope,
  `scgi_param SCGI 1; scgi_param PATH $uri; scgi_param REQUEST_METHOD $request_method;
   location / { scgi_pass ${peer}; }
   location /without { scgi_pass ${peer}; scgi_pass_request_body off; }`,
)

test('a request is a netstring with CONTENT_LENGTH first, and its body behind it', { skip }, async () => {
  for (const size of [0, 10, 100_000]) {
    const body = Buffer.alloc(size, 'a')
    const response = await request({ address: server.port, path: '/', method: 'POST', body, headers: { 'X-Y': 'z' } })
    assert.deepEqual([response.status, response.reason], [202, 'Taken'])
    assert.equal(response.header('x-first'), 'CONTENT_LENGTH')
    assert.match(response.text, new RegExp(`^CONTENT_LENGTH=${size}\nSCGI=1\nPATH=/\nREQUEST_METHOD=POST\n`))
    assert.match(response.text, /\nHTTP_X_Y=z\n/)
    assert.match(response.text, new RegExp(`True ${size} ${(size * 97) % 65521}$`))
  }
})

test('a body that is not passed is not announced', { skip }, async () => {
  const response = await request({ address: server.port, path: '/without', method: 'POST', body: 'body' })
  assert.match(response.text, /^CONTENT_LENGTH=0\n[^]*True 0 0$/)
})

test('an answer may begin with a status line of HTTP', { skip }, async () => {
  const response = await get(server.port, '/http')
  assert.deepEqual([response.status, response.reason, response.text], [203, 'Told', 'ok'])
})
