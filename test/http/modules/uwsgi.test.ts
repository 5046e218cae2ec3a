// Against uWSGI itself.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { accepts, atEnd, eventually, fileScope, findCommand, get, isMissing, request } from '../../helpers/index.ts'
import { tempDir, writeFiles } from '../../helpers/index.ts'

const APPLICATION = `
def application(environ, start_response):
    body = environ['wsgi.input'].read()
    if environ['PATH_INFO'] == '/stream':
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return (b'part %d\\n' % i for i in range(1000))
    start_response('201 Made Here', [('X-Agent', environ.get('HTTP_USER_AGENT', '-')), ('Content-Type', 'text/x')])
    told = '%s %s %s %d' % (environ['REQUEST_METHOD'], environ['PATH_INFO'], environ['QUERY_STRING'], len(body))
    return [told.encode()]
`

const scope = fileScope()
const skip = isMissing('uwsgi') ? 'uwsgi missing' : false

async function uwsgi(): Promise<string> {
  const dir = tempDir(scope)
  writeFiles(dir, { 'app.py': APPLICATION })
  const socket = join(dir, 'uwsgi.sock')
  const args = ['--socket', socket, '--chdir', dir, '--module', 'app', '--die-on-term', '--disable-logging']
  const child = spawn(findCommand('uwsgi_python3')!, args, { stdio: 'ignore' })
  const gone = once(child, 'exit')
  atEnd(scope, async () => {
    child.kill('SIGKILL')
    await gone
  })
  await eventually(() => accepts(socket))
  return socket
}

const socket = skip === false ? await uwsgi() : '/nowhere'
const params = `uwsgi_param QUERY_STRING $query_string; uwsgi_param REQUEST_METHOD $request_method;
  uwsgi_param CONTENT_TYPE $content_type; uwsgi_param CONTENT_LENGTH $content_length; uwsgi_param REQUEST_URI $request_uri;
  uwsgi_param PATH_INFO $document_uri; uwsgi_param SERVER_PROTOCOL $server_protocol;
  uwsgi_param SERVER_NAME $server_name; uwsgi_param SERVER_PORT $server_port; uwsgi_param REMOTE_ADDR $remote_addr;`
const server = await serveHttp(
  scope,
  `${params}
   location / { uwsgi_pass unix:${socket}; }
   location /variable { set $to uwsgi://unix:${socket}; uwsgi_pass $to; }
   location /unbuffered { uwsgi_pass unix:${socket}; uwsgi_buffering off; uwsgi_request_buffering off; }
   location /big { uwsgi_pass unix:${socket}; uwsgi_param BIG "$arg_a$arg_a"; }
   client_max_body_size 10m; large_client_header_buffers 4 64k;`,
)

test('an application is asked and its answer passed on', { skip }, async () => {
  const headers = { 'User-Agent': 'tester' }
  const response = await request({ address: server.port, path: '/a/b?c=d', headers })
  assert.deepEqual([response.status, response.reason, response.text], [201, 'Made Here', 'GET /a/b c=d 0'])
  assert.deepEqual([response.header('x-agent'), response.header('content-type')], ['tester', 'text/x'])
  assert.equal((await get(server.port, '/variable')).text, 'GET /variable  0')
})

test('a request body arrives whole, from memory, from a file, unbuffered', { skip }, async () => {
  for (const path of ['/x', '/unbuffered']) {
    for (const size of [1, 10_000, 3_000_000]) {
      const body = Buffer.alloc(size, 'x')
      const response = await request({ address: server.port, path, method: 'POST', body })
      assert.equal(response.text, `POST ${path}  ${size}`, server.errorLog().slice(-2000))
    }
  }
})

test('a response of unknown length ends with its connection', { skip }, async () => {
  const response = await get(server.port, '/stream')
  assert.ok(response.text.startsWith('part 0\n') && response.text.endsWith('part 999\n'))
})

test('HEAD has no body', { skip }, async () => {
  const response = await request({ address: server.port, path: '/', method: 'HEAD' })
  assert.deepEqual([response.status, response.text], [201, ''])
})

test('more variables than a packet holds are an error', { skip }, async () => {
  assert.equal((await get(server.port, `/big?a=${'x'.repeat(40_000)}`)).status, 500)
  assert.match(server.errorLog(), /\[alert\] .*uwsgi request is too big: \d+/)
})
