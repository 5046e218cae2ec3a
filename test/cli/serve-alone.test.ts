// `portico serve` among its neighbours: sockets that a supervisor has opened, a real nginx in front of it by HTTP and uwsgi, StatsD,
// syslog, and systemd's notifications.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import {
  accepts,
  atEnd,
  eventually,
  findCommand,
  freePort,
  get,
  needs,
  PORTICO,
  PYTHON,
  request,
  serveApp,
  signalTo,
  tempDir,
  within,
  writeFiles,
  needsIpv6,
} from '../helpers/index.ts'
import type { Scope } from '../helpers/index.ts'

const env = { PORTICO_PYTHON: PYTHON }
const files = {
  'told.py': `import json, os
NAMES = 'REQUEST_METHOD PATH_INFO QUERY_STRING REMOTE_ADDR SERVER_PORT wsgi.url_scheme HTTP_HOST HTTP_X_COLOUR CONTENT_TYPE CONTENT_LENGTH SERVER_PROTOCOL PROXY_PROTOCOL RAW_URI'.split()
def app(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('404 Not Found' if environ['PATH_INFO'] == '/missing' else '200 OK', [('X-Made-By', 'told')])
    told = {name: environ[name] for name in NAMES if name in environ}
    if environ['PATH_INFO'] == '/raises':
        raise ValueError('no')
    if environ['PATH_INFO'] == '/big':
        return [b'x' * 300000]
    return [json.dumps(dict(told, body=body.decode())).encode()]
`,
}

/** Starts the program with descriptors beyond the standard ones; Python's `exec` keeps its pid for LISTEN_PID. */
function supervise(
  t: Scope,
  dir: string,
  args: readonly string[],
  code: string,
): { output: () => string; pid: number; exited: Promise<unknown> } {
  const starter = `import os, socket, sys
${code}
os.execv(sys.argv[1], sys.argv[1:])
`
  const child = spawn(PYTHON, ['-c', starter, PORTICO, 'serve', ...args], {
    cwd: dir,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env, TMPDIR: dir, XDG_RUNTIME_DIR: dir, PYTHONDONTWRITEBYTECODE: '1' },
  })
  let output = ''
  child.stdout.on('data', bytes => (output += bytes))
  child.stderr.on('data', bytes => (output += bytes))
  const exited = new Promise(resolve => child.once('exit', resolve))
  atEnd(t, async () => {
    signalTo(child.pid!, 'SIGTERM')
    await within(exited, 60_000, () => `no end: ${output}`)
  })
  return { output: () => output, pid: child.pid!, exited }
}

const OPEN = `def listening(family, address, fd):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(address)
    s.listen(16)
    os.dup2(s.fileno(), fd)
    os.set_inheritable(fd, True)
    if s.fileno() == fd:
        s.detach()
`

test('sockets of systemd are listened on, and its files stay', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  writeFiles(dir, files)
  const port = await freePort()
  const notified = join(dir, 'notify.sock')
  const code = `${OPEN}listening(socket.AF_INET, ('127.0.0.1', ${port}), 3)
listening(socket.AF_UNIX, '${dir}/a.sock', 4)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', NOTIFY_SOCKET='${notified}')`
  // Node has no Unix datagrams to hear systemd's with.
  const listener = spawn(PYTHON, [
    '-c',
    `import socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.bind('${notified}')\nprint('bound', flush=True)\nprint(s.recv(100).decode(), flush=True)`,
  ])
  let heard = ''
  listener.stdout.on('data', bytes => (heard += bytes))
  atEnd(t, () => listener.kill())
  await eventually(() => heard !== '')
  const server = supervise(t, dir, ['told:app'], code)
  await eventually(() => /listening at/.test(server.output()))
  assert.match(server.output(), new RegExp(`listening at http://127\\.0\\.0\\.1:${port}, unix:${dir}/a\\.sock `))
  assert.equal((await get(port)).status, 200)
  assert.equal((await get(join(dir, 'a.sock'))).status, 200)
  await eventually(() => heard.includes('READY=1'))
  signalTo(server.pid, 'SIGHUP')
  await eventually(async () => (await get(port)).status === 200)
  signalTo(server.pid, 'SIGTERM')
  await within(server.exited, 60_000, server.output)
  assert.ok(existsSync(join(dir, 'a.sock')))
})

test('fd://N is a socket that is open already; one that is none is told', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  writeFiles(dir, files)
  const port = await freePort()
  const server = supervise(
    t,
    dir,
    ['-b', 'fd://7', 'told:app'],
    `${OPEN}listening(socket.AF_INET, ('127.0.0.1', ${port}), 7)`,
  )
  await eventually(() => accepts(port))
  await eventually(() => /listening at http:\/\/127/.test(server.output()))
  assert.equal((await get(port)).status, 200)
  const wrong = supervise(t, dir, ['-b', 'fd://9', 'told:app'], '')
  assert.equal(await within(wrong.exited, 60_000, wrong.output), 2)
  assert.match(wrong.output(), /invalid value "fd:\/\/9" for --bind: it is no listening socket/)
})

test('several addresses at once, and the mode of a Unix socket', async t => {
  if (!needs(t, 'python3') || !needsIpv6(t)) return
  const args = [
    '-b',
    '127.0.0.1:%%PORT_0%%',
    '-b',
    '[::1]:%%PORT_1%%',
    '-b',
    'unix:%%DIR%%/a.sock',
    '--umask',
    '0o077',
    'told:app',
  ]
  const server = await serveApp(t, args, { files, env })
  await eventually(() => /listening/.test(server.output))
  assert.equal((await get(server.port)).status, 200)
  assert.equal((await get({ host: '::1', port: server.ports[1]! })).status, 200)
  // Whoever comes by a Unix socket has no address, and has come to no port: it is the scheme's, where Host names none.
  for (const [headers, port] of [
    [{}, '80'],
    [{ 'X-Forwarded-Proto': 'https' }, '443'],
    [{ Host: 'example.com:81' }, '81'],
  ] as const) {
    const told = JSON.parse((await get(join(server.dir, 'a.sock'), '/', headers)).text) as Record<string, string>
    assert.deepEqual([told['REMOTE_ADDR'], told['SERVER_PORT']], ['', port])
  }
  assert.equal(statSync(join(server.dir, 'a.sock')).mode & 0o777, 0o700)
})

/** A real nginx with these locations; answers its port. */
async function nginx(t: Scope, locations: string): Promise<number> {
  const dir = tempDir(t)
  const port = await freePort()
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${dir}/${name};`)
  const conf = `daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;${process.getuid?.() === 0 ? ' user root;' : ''}
events {}
http { access_log off; ${temp.join(' ')} server { listen 127.0.0.1:${port}; ${locations} } }
`
  writeFiles(dir, { 'nginx.conf': conf })
  const child = spawn(findCommand('nginx')!, ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')], {
    stdio: 'ignore',
  })
  const exited = new Promise(resolve => child.once('exit', resolve))
  atEnd(t, async () => {
    child.kill('SIGTERM')
    await exited
  })
  await eventually(() => accepts(port))
  return port
}

test('behind nginx, by HTTP over TCP and over a Unix socket', async t => {
  if (!needs(t, 'python3', 'nginx')) return
  const server = await serveApp(
    t,
    ['-b', '127.0.0.1:%%PORT_0%%', '-b', 'unix:%%DIR%%/a.sock', '--forwarded', 'x-forwarded', 'told:app'],
    { files, env },
  )
  await eventually(() => accepts(server.port))
  const pass =
    'proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For 192.0.2.5; proxy_set_header X-Forwarded-Proto https;'
  const port = await nginx(
    t,
    `location / { proxy_pass http://127.0.0.1:${server.port}; ${pass} } location /unix { proxy_pass http://unix:${server.dir}/a.sock:/; ${pass} }`,
  )
  for (const path of ['/', '/unix']) {
    const answer = JSON.parse((await get(port, path)).text) as Record<string, string>
    assert.deepEqual(
      [answer['REMOTE_ADDR'], answer['wsgi.url_scheme'], answer['HTTP_HOST']],
      ['192.0.2.5', 'https', 'localhost'],
    )
  }
  assert.equal((await get(port, '/big')).body.length, 300_000)
})

test("behind nginx, by uwsgi_pass: clients' addresses, bodies and errors arrive", async t => {
  if (!needs(t, 'python3', 'nginx')) return
  const server = await serveApp(
    t,
    ['-b', '127.0.0.1:%%PORT_0%%', '-b', 'unix:%%DIR%%/a.sock', '--protocol', 'uwsgi', 'told:app'],
    { files, env },
  )
  await eventually(() => accepts(server.port))
  const params = [
    'QUERY_STRING $query_string',
    'REQUEST_METHOD $request_method',
    'CONTENT_TYPE $content_type',
    'CONTENT_LENGTH $content_length',
    'REQUEST_URI $request_uri',
    'PATH_INFO $document_uri',
    'SERVER_PROTOCOL $server_protocol',
    'REMOTE_ADDR 192.0.2.6',
    'REMOTE_PORT $remote_port',
    'SERVER_PORT $server_port',
    'SERVER_NAME $server_name',
  ]
  const pass = params.map(param => `uwsgi_param ${param};`).join(' ')
  const port = await nginx(
    t,
    `location / { rewrite ^/old(/.*)$ /new$1 break; uwsgi_pass 127.0.0.1:${server.port}; ${pass} } location /tls { uwsgi_pass unix:${server.dir}/a.sock; uwsgi_param HTTPS on; ${pass} }`,
  )
  const told = async (path: string, more: object = {}): Promise<Record<string, string>> => {
    const answer = await request({
      address: port,
      path,
      headers: { 'X-Colour': 'blue', 'X-Forwarded-Proto': 'https' },
      ...more,
    })
    assert.equal(answer.status, path === '/missing' ? 404 : 200, answer.text)
    assert.equal(answer.header('x-made-by'), 'told')
    return JSON.parse(answer.text) as Record<string, string>
  }
  const plain = await told('/a%20b?c=d')
  assert.deepEqual(
    [
      plain['PATH_INFO'],
      plain['QUERY_STRING'],
      plain['REMOTE_ADDR'],
      plain['wsgi.url_scheme'],
      plain['HTTP_X_COLOUR'],
      plain['HTTP_HOST'],
    ],
    ['/a b', 'c=d', '192.0.2.6', 'http', 'blue', 'localhost'],
  )
  assert.equal((await told('/tls'))['wsgi.url_scheme'], 'https')
  // It is neither HTTP/1.0 nor the PROXY protocol, and nginx may have rewritten what the client asked for.
  assert.deepEqual([plain['SERVER_PROTOCOL'], 'PROXY_PROTOCOL' in plain], ['HTTP/1.1', false])
  assert.deepEqual([plain['RAW_URI'], (await told('/old/a%20b?c=d'))['PATH_INFO']], ['/a%20b?c=d', '/new/a b'])
  await told('/missing')
  const posted = await told('/p', { method: 'POST', body: 'the body' })
  assert.deepEqual([posted['body'], posted['CONTENT_LENGTH']], ['the body', '8'])
  assert.equal((await get(port, '/big')).body.length, 300_000)
  // Nobody else may say such things.
  const closed = await serveApp(t, ['--protocol', 'uwsgi', '--uwsgi-allow-from', '10.0.0.1', 'told:app'], {
    files,
    env,
  })
  const front = await nginx(t, `location / { uwsgi_pass 127.0.0.1:${closed.port}; ${pass} }`)
  assert.equal((await get(front)).status, 403)
})

/** What arrives at a UDP port. */
async function datagrams(t: Scope): Promise<{ port: number; text: () => string }> {
  const socket = createSocket('udp4')
  let text = ''
  socket.on('message', bytes => (text += `${bytes.toString('latin1')}\n`))
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  atEnd(t, () => socket.close())
  return { port: socket.address().port, text: () => text }
}

test('StatsD hears of requests and workers as from Gunicorn', async t => {
  if (!needs(t, 'python3')) return
  const { port, text } = await datagrams(t)
  const conf = `def post_fork(server, worker):
    server.log.warning('once for each worker')
    server.log.info('', extra={'metric': 'mine.age', 'value': worker.age, 'mtype': 'gauge'})
`
  const args = [
    '--statsd-host',
    `localhost:${port}`,
    '--statsd-prefix',
    'mine.',
    '--dogstatsd-tags',
    'a:b',
    '-w',
    '2',
    'told:app',
  ]
  const server = await serveApp(t, args, { files: { ...files, 'gunicorn.conf.py': conf }, env })
  await get(server.port)
  await get(server.port, '/missing')
  await get(server.port, '/raises')
  // Several processes speak, in no order among them.
  const said = (line: RegExp, times = 1): Promise<unknown> =>
    eventually(() => assert.equal(text().match(line)?.length, times, `${line} in ${text()}`) ?? true)
  await said(/^mine\.gunicorn\.requests:1\|c\|@1\.0\|#a:b$/gm, 3)
  await said(/^mine\.gunicorn\.request\.duration:\d+(\.\d+)?\|ms\|#a:b$/gm, 3)
  await said(/^mine\.gunicorn\.request\.status\.200:1\|c\|@1\.0\|#a:b$/gm)
  await said(/^mine\.gunicorn\.request\.status\.404:1\|c\|@1\.0\|#a:b$/gm)
  await said(/^mine\.gunicorn\.request\.status\.500:1\|c\|@1\.0\|#a:b$/gm)
  await said(/^mine\.gunicorn\.log\.exception:1\|c\|@1\.0\|#a:b$/gm)
  await said(/^mine\.gunicorn\.log\.warning:1\|c\|@1\.0\|#a:b$/gm, 2)
  await eventually(() => /^mine\.gunicorn\.workers:2\|g\|#a:b$/m.test(text()))
  await eventually(() => /^mine\.mine\.age:2\|g\|#a:b$/m.test(text()))
})

test('StatsD hears of the errors of an ASGI application', async t => {
  if (!needs(t, 'python3')) return
  const { port, text } = await datagrams(t)
  const app = "async def app(scope, receive, send):\n    raise ValueError('no')\n"
  const args = ['--statsd-host', `localhost:${port}`, '-k', 'asgi', '--asgi-lifespan', 'off', 'app:app']
  const server = await serveApp(t, args, { files: { 'app.py': app }, env })
  assert.equal((await get(server.port)).status, 500)
  await eventually(() => /^gunicorn\.log\.exception:1\|c\|@1\.0$/m.test(text()))
})

test('syslog gets requests and errors, and requests not where that is said', async t => {
  if (!needs(t, 'python3')) return
  const { port, text } = await datagrams(t)
  const args = [
    '--log-syslog',
    '--log-syslog-to',
    `udp://127.0.0.1:${port}`,
    '--log-syslog-prefix',
    'site',
    '--log-syslog-facility',
    'local3',
    '--log-level',
    'info',
  ]
  const server = await serveApp(t, [...args, 'told:app'], { files, env })
  await get(server.port, '/x')
  // local3 is 19, info 6 and notice 5.
  await eventually(() => /^<158>.* gunicorn_site_access: 127\.0\.0\.1 - - \[.*"GET \/x HTTP\/1\.1" 200/m.test(text()))
  await eventually(() => /^<157>.* gunicorn_site_error: .*\[notice\]/m.test(text()))
  const other = await serveApp(t, [...args, '--disable-redirect-access-to-syslog', 'told:app'], { files, env })
  const before = text().length
  await get(other.port, '/y')
  await other.stop()
  assert.doesNotMatch(text().slice(before), /_access: .*\/y/)
})

test("TLS, by Gunicorn's options", async t => {
  if (!needs(t, 'python3', 'openssl', 'curl')) return
  const dir = tempDir(t)
  writeFiles(dir, files)
  const { spawnSync } = await import('node:child_process')
  spawnSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'k.pem',
      '-out',
      'c.pem',
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
    ],
    { cwd: dir },
  )
  const server = await serveApp(t, ['--keyfile', 'k.pem', '--certfile', 'c.pem', 'told:app'], { dir, env })
  const said = await new Promise<string>(resolve => {
    const child = spawn('curl', ['-sk', `https://127.0.0.1:${server.port}/`])
    let text = ''
    child.stdout.on('data', bytes => (text += bytes))
    child.once('close', () => resolve(text))
  })
  assert.equal((JSON.parse(said) as Record<string, string>)['wsgi.url_scheme'], 'https')
})
