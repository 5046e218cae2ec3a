// Configurations as people have them, unchanged but for names and ports, before a real Gunicorn.

import assert from 'node:assert/strict'
import test from 'node:test'
import { get, gunicorn, needs, needsOtherUsers, request, serve, tempDir, writeFiles } from '../helpers/index.ts'

const isRoot = process.getuid?.() === 0

/** Answers with what it was told of the request. */
const mirror = `
import json
def application(environ, start_response):
    names = ['REQUEST_METHOD', 'PATH_INFO', 'QUERY_STRING', 'HTTP_HOST', 'HTTP_X_FORWARDED_FOR', 'HTTP_X_REAL_IP',
             'HTTP_X_FORWARDED_PROTO', 'REMOTE_ADDR']
    told = {name: environ.get(name) for name in names}
    told['body'] = environ['wsgi.input'].read().decode('latin-1')
    if environ['PATH_INFO'] == '/redirect':
        start_response('302 Found', [('Location', 'http://example.test/there')])
        return [b'']
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(told).encode()]
`

// The configuration that Gunicorn's own documentation has recommended for years, in its shape.
const classic = (upstream: string) => `
worker_processes 1;
user nobody nogroup;
pid %%DIR%%/nginx.pid;
error_log %%DIR%%/nginx.error.log;

events { worker_connections 1024; accept_mutex off; }

http {
    default_type application/octet-stream;
    access_log %%DIR%%/nginx.access.log combined;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 65;
    types_hash_max_size 2048;

    upstream app_server { server ${upstream} fail_timeout=0; }

    server {
        listen %%PORT_0%% default;
        client_max_body_size 4G;
        server_name _;
        root %%DIR%%/static;

        location / {
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Host $http_host;
            proxy_redirect off;
            proxy_pass http://app_server;
        }
    }
}`

for (const kind of ['TCP', 'Unix socket'] as const) {
  test(`the classic configuration before Gunicorn on a ${kind}`, async t => {
    if (!needs(t, 'gunicorn') || (isRoot && !needsOtherUsers(t))) return
    const dir = tempDir(t)
    writeFiles(dir, { 'mirror.py': mirror })
    const back = await gunicorn(t, 'mirror:application', { dir, unix: kind === 'Unix socket' })
    const upstream = kind === 'TCP' ? back.path : `unix:${back.path}`
    const server = await serve(t, classic(upstream))
    const response = await request({
      address: server.port,
      method: 'POST',
      path: '/a/b?c=d',
      headers: { Host: 'shop.test:81', 'X-Forwarded-For': '10.1.1.1' },
      body: 'sent',
    })
    const told = JSON.parse(response.text)
    assert.equal(told.PATH_INFO, '/a/b')
    assert.equal(told.QUERY_STRING, 'c=d')
    assert.equal(told.HTTP_HOST, 'shop.test:81')
    assert.equal(told.HTTP_X_FORWARDED_FOR, '10.1.1.1, 127.0.0.1')
    assert.equal(told.body, 'sent')
    assert.equal((await get(server.port, '/redirect')).header('location'), 'http://example.test/there')
  })
}

test('server_name, forwarding headers and an alias for static files', async t => {
  if (!needs(t, 'gunicorn')) return
  const dir = tempDir(t)
  writeFiles(dir, { 'mirror.py': mirror })
  const back = await gunicorn(t, 'mirror:application', { dir, unix: true })
  const server = await serve(t, {
    files: { 'assets/site.css': 'body { color: red }' },
    conf: `
events { }
http {
    include %%DIR%%/mime.types;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name example.test www.example.test;
        location = /favicon.ico { access_log off; log_not_found off; }
        location /static/ { alias %%DIR%%/assets/; }
        location / {
            proxy_pass http://unix:${back.path};
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}`.replace('include %%DIR%%/mime.types;', 'types { text/css css; }'),
  })
  const css = await get(server.port, '/static/site.css', { Host: 'example.test' })
  assert.deepEqual([css.status, css.header('content-type'), css.text], [200, 'text/css', 'body { color: red }'])
  assert.equal((await get(server.port, '/static/none.css')).status, 404)
  assert.equal((await get(server.port, '/favicon.ico')).status, 404)
  const told = JSON.parse((await get(server.port, '/x', { Host: 'www.example.test' })).text)
  assert.equal(told.HTTP_X_REAL_IP, '127.0.0.1')
  assert.equal(told.HTTP_X_FORWARDED_PROTO, 'http')
  assert.equal(told.HTTP_HOST, 'www.example.test')
})

test('location /perftest/ { return 200; }', async t => {
  const server = await serve(
    t,
    'events { } http { server { listen 127.0.0.1:%%PORT_0%%; location /perftest/ { return 200; } } }',
  )
  const response = await get(server.port, '/perftest/')
  assert.deepEqual([response.status, response.header('content-length'), response.text], [200, '0', ''])
})
