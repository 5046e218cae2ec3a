// app_set_header: what an application gets in place of what the client has sent.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { eventually } from '../helpers/eventually.ts'
import { get, request } from '../helpers/raw.ts'
import { serve } from '../helpers/serve.ts'

const headers = `
  app_set_header X-Real-IP $remote_addr;
  app_set_header X-Forwarded-For "";
  app_set_header X-Path $uri;
  app_set_header Content-Type text/x-ours;
  app_set_header Host inner.test;`
const sent = {
  'X-Real-IP': ['9.9.9.9', '8.8.8.8'],
  'X-Forwarded-For': '9.9.9.9',
  'X-Kept': 'kept',
  'Content-Type': 'text/x-theirs',
}
const files = {
  'wsgi.py': `def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    names = ['HTTP_X_REAL_IP', 'HTTP_X_FORWARDED_FOR', 'HTTP_X_PATH', 'CONTENT_TYPE', 'HTTP_HOST', 'HTTP_X_KEPT', 'PATH_INFO']
    return ['|'.join(str(environ.get(name)) for name in names).encode('latin-1')]
`,
  'asgi.py': `async def application(scope, receive, send):
    names = [b'x-real-ip', b'x-forwarded-for', b'x-path', b'content-type', b'host', b'x-kept']
    found = [[v.decode('latin-1') for n, v in scope['headers'] if n == name] for name in names]
    text = '|'.join(','.join(values) if values else 'None' for values in found) + '|' + scope['path']
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': text.encode('latin-1')})
`,
  'node.mjs': `export default (q, s) => {
    const names = ['x-real-ip', 'x-forwarded-for', 'x-path', 'content-type', 'host', 'x-kept']
    s.end(Buffer.from([...names.map(name => q.headers[name] ?? 'None'), decodeURIComponent(q.url)].join('|'), 'latin1'))
  }`,
}

const WHO = `def application(environ, start_response):
    start_response('200 OK', [('X-User', 'alice'), ('X-USER', 'bob'), ('Set-Cookie', 'a=b; Path=/')])
    return [b'you']
`

for (const [kind, module] of [
  ['sync', 'wsgi'],
  ['asgi', 'asgi'],
  ['node', './node.mjs'],
] as const) {
  test(`app_set_header: an application of kind ${kind} sees what is set, and not what the client says`, async t => {
    const server = await serve(t, {
      conf: `http { app one { directory %%DIR%%; module ${module}; kind ${kind}; workers 1; environment PYTHONDONTWRITEBYTECODE=1; }
        server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass one; ${headers} }
          location /plain { app_pass one; } } }`,
      files,
    })
    const set = await request({ address: server.port, path: '/a', headers: sent })
    assert.equal(set.text, '127.0.0.1|None|/a|text/x-ours|inner.test|kept|/a')
    // What a variable brings cannot become further fields.
    const broken = await get(server.port, '/b%0D%0AX-Kept:%20no')
    assert.equal(broken.text, '127.0.0.1|None|/b  X-Kept: no|text/x-ours|inner.test|None|/b\r\nX-Kept: no')
    const plain = await request({ address: server.port, path: '/plain', headers: sent })
    assert.match(plain.text, /^9\.9\.9\.9, ?8\.8\.8\.8\|9\.9\.9\.9(?:, 127\.0\.0\.1)?\|None\|text\/x-theirs\|/)
  })
}

test('app_set_header: what another application has found out about the user is set', async t => {
  const server = await serve(t, {
    conf: `http {
      log_format times '$uri $upstream_addr $upstream_status $upstream_response_time $upstream_cookie_a';
      access_log %%DIR%%/times.log times;
      app one { directory %%DIR%%; module wsgi; workers 1; environment PYTHONDONTWRITEBYTECODE=1; }
      app two { directory %%DIR%%; module who; workers 1; environment PYTHONDONTWRITEBYTECODE=1; }
      server { listen 127.0.0.1:%%PORT_0%%;
        location / {
          auth_request /who; auth_request_set $user $upstream_http_x_user;
          app_pass one; app_set_header X-Real-IP $user;
        }
        location /who { app_pass two; }
        location /plain { return 204; } } }`,
    files: { ...files, 'who.py': WHO },
  })
  assert.match((await get(server.port, '/', { 'X-Real-IP': 'root' })).text, /^alice, bob\|/)
  assert.equal((await get(server.port, '/who/am/i')).text, 'you')
  assert.equal((await get(server.port, '/plain')).status, 204)
  await eventually(() => server.file('times.log').split('\n').length === 4)
  const log = server.file('times.log')
  assert.match(log, /^\/ one 200 \d\.\d{3} -\n\/who\/am\/i two 200 \d\.\d{3} b\n\/plain - - - -\n$/)
})

test('app_set_header: how a request is carried cannot be set', async t => {
  const refused = serve(t, {
    conf: `http { app one { directory %%DIR%%; module wsgi; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass one; app_set_header Transfer-Encoding chunked; } } }`,
    files,
  })
  await assert.rejects(refused, /"app_set_header" cannot set "Transfer-Encoding"/)
})
