// Health checks of servers that speak something else than HTTP, each against one of the kind.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { accepts, atEnd, eventually, findCommand, freePort, get, needs, origin, raw } from '../../helpers/index.ts'
import { responder, tempDir, writeFiles } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

/** What is to come of a server that is asked: passed with the directives, to the group `uN` of one server. */
interface Case {
  readonly server: string
  readonly pass: string
  readonly check: string
  readonly state: 'up' | 'unhealthy'
}

/** Every group's server is, or becomes, what it is expected to be. @returns the error log */
async function judged(t: TestContext, cases: readonly Case[], more: string): Promise<string> {
  const locations = cases.map(
    ({ pass, check }, i) => `location /${i} { ${pass} u${i}; health_check interval=50ms ${check}; }`,
  )
  const groups = cases.map(({ server }, i) => `upstream u${i} { zone z${i} 64k; server ${server}; }`)
  const server = await serveHttp(t, `location /api { api; } ${locations.join('\n')}`, `${groups.join('\n')} ${more}`)
  await eventually(async () => {
    const all = JSON.parse((await get(server.port, '/api/9/http/upstreams')).text)
    for (const [i, { state, check }] of cases.entries()) {
      const peer = all[`u${i}`].peers[0]
      assert.ok(peer.health_checks.checks > 1)
      assert.equal(peer.state, state, `u${i} ${check}`)
    }
    return true
  })
  return server.errorLog()
}

const cgiParams = (prefix: string): string =>
  `server_name some.example; root /srv/www; ${prefix}_param PATH $uri; ${prefix}_param REQUEST_METHOD $request_method;
   ${prefix}_param SCRIPT_FILENAME $document_root$fastcgi_script_name; ${prefix}_param QUERY_STRING $query_string;
   ${prefix}_param EMPTY $arg_none; ${prefix}_param NONE $http_none if_not_empty;`

test('fastcgi_pass: status, fields and body of the answer count', async t => {
  if (!needs(t, 'python3')) return
  const server = await responder(t, 'fastcgi')
  const pass = `${cgiParams('fastcgi').replace('server_name some.example; ', '')} fastcgi_read_timeout 2s; fastcgi_pass`
  const matches = `match made { status 201; header X-Own = yes; body ~ "^0 "; }
    match told { body ~ "PATH=/params\\nREQUEST_METHOD=GET\\nSCRIPT_FILENAME=/srv/www/params\\nQUERY_STRING=a=b\\nEMPTY=\\n(?!NONE)"; }
    match lost { status 404; body ~ "^body$"; }`
  const log = await judged(
    t,
    [
      { server, pass, check: '', state: 'up' },
      { server, pass, check: 'uri=/body match=made', state: 'up' },
      { server, pass, check: 'uri=/params?a=b match=told', state: 'up' },
      { server, pass, check: 'uri=/split', state: 'unhealthy' },
      { server, pass, check: 'uri=/split match=lost', state: 'up' },
      { server, pass, check: 'uri=/stderr', state: 'up' },
      { server, pass, check: 'uri=/empty', state: 'unhealthy' },
      { server, pass, check: 'uri=/type', state: 'unhealthy' },
      { server, pass, check: 'uri=/status', state: 'unhealthy' },
    ],
    matches,
  )
  for (const text of [
    'unexpected status 404',
    'prematurely closed',
    'invalid FastCGI record type: 11',
    'invalid status',
  ]) {
    assert.ok(log.includes(text), text)
  }
})

test('scgi_pass, and what does not answer', async t => {
  if (!needs(t, 'python3')) return
  const server = await responder(t, 'scgi')
  const gone = await origin(t)
  await gone.close()
  const silent = await origin(t, () => {})
  const pass = 'scgi_param SCGI 1; scgi_param PATH $uri; scgi_read_timeout 200ms; scgi_pass'
  const log = await judged(
    t,
    [
      { server, pass: pass.replace('200ms', '2s'), check: 'uri=/x match=told', state: 'up' },
      { server, pass: pass.replace('200ms', '2s'), check: 'uri=/http match=ok', state: 'up' },
      { server: gone.path, pass, check: '', state: 'unhealthy' },
      { server: silent.path, pass, check: '', state: 'unhealthy' },
    ],
    'match told { status 202; body ~ "^CONTENT_LENGTH=0\\nSCGI=1\\nPATH=/x\\n"; } match ok { status 203; body ~ "^ok$"; }',
  )
  for (const text of ['Connection refused', 'timed out while reading response']) assert.ok(log.includes(text), text)
})

test('uwsgi_pass', async t => {
  if (!needs(t, 'uwsgi')) return
  const dir = tempDir(t)
  writeFiles(dir, {
    'app.py': `
def application(environ, start_response):
    start_response('201 Made', [('X-Host', environ['HTTP_HOST'])])
    return [('%s %s %s' % (environ['REQUEST_METHOD'], environ['PATH_INFO'], environ['QUERY_STRING'])).encode()]
`,
  })
  const socket = join(dir, 'uwsgi.sock')
  const args = ['--socket', socket, '--chdir', dir, '--module', 'app', '--die-on-term', '--disable-logging']
  const child = spawn(findCommand('uwsgi_python3')!, args, { stdio: 'ignore' })
  const ended = once(child, 'exit')
  atEnd(t, async () => {
    child.kill('SIGKILL')
    await ended
  })
  await eventually(() => accepts(socket))
  const server = `unix:${socket}`
  const pass = `uwsgi_param QUERY_STRING $query_string; uwsgi_param REQUEST_METHOD $request_method; uwsgi_param PATH_INFO $document_uri;
    uwsgi_param SERVER_NAME x; uwsgi_param SERVER_PORT $server_port; uwsgi_param REQUEST_URI $request_uri; uwsgi_param HTTP_HOST h; uwsgi_pass`
  await judged(
    t,
    [
      { server, pass, check: 'uri=/health?a=b match=told', state: 'up' },
      { server, pass, check: 'uri=/other match=told', state: 'unhealthy' },
    ],
    'match told { status 201; header X-Host = h; body ~ "^GET /health a=b$"; }',
  )
})

test('memcached_pass: it says what it is, or has a key', async t => {
  if (!needs(t, 'memcached')) return
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
  const child = spawn(findCommand('memcached')!, ['-l', '127.0.0.1', '-p', `${port}`, '-U', '0', ...user], {
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  atEnd(t, async () => {
    child.kill('SIGKILL')
    await ended
  })
  await eventually(() => accepts(port))
  const client = await raw(t, port)
  await client.send('set /well 0 0 4\r\nyes!\r\n')
  await eventually(() => client.received.includes('STORED'))
  const other = net.createServer(socket => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await once(other.listen(0, '127.0.0.1'), 'listening')
  atEnd(t, () => void other.close())
  const wrong = `127.0.0.1:${(other.address() as net.AddressInfo).port}`
  const server = `127.0.0.1:${port}`
  const pass = 'set $memcached_key /k; memcached_read_timeout 2s; memcached_pass'
  const log = await judged(
    t,
    [
      { server, pass, check: '', state: 'up' },
      { server, pass, check: 'uri=/well match=yes', state: 'up' },
      { server, pass, check: 'uri=/missing', state: 'unhealthy' },
      { server, pass, check: 'uri=/missing match=none', state: 'up' },
      { server: wrong, pass, check: '', state: 'unhealthy' },
    ],
    'match yes { status 200; body ~ "^yes!$"; } match none { status 404; }',
  )
  assert.ok(log.includes('unexpected status 404'))
  assert.ok(log.includes('memcached sent invalid response: "HTTP/1.1 400 Bad Request"'))
})

test('an address with variables names no group to be checked', async t => {
  await assert.rejects(
    serveHttp(
      t,
      'location / { set $to u; scgi_pass $to; health_check; }',
      'upstream u { zone z 64k; server 127.0.0.1:1; }',
    ),
    /"health_check" needs a "proxy_pass", "grpc_pass" or their like to a group of servers in the same location/,
  )
})
