// set_real_ip_from and app_trusted_proxies in one server: the proxy's word counts, that of the client behind it does not.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { request, serve } from '../helpers/index.ts'

const files = {
  'told.py': `def application(environ, start_response):
    start_response('200 OK', [])
    names = ['REMOTE_ADDR', 'wsgi.url_scheme', 'SCRIPT_NAME', 'HTTP_HOST']
    return [' '.join(environ[name] for name in names).encode('latin-1')]
`,
}
const secure =
  'app_scheme_header X-Forwarded-Proto https; app_forwarder_headers script_name; underscores_in_headers on;'
const server = await serve(
  { after },
  {
    conf: `http {
      app one { directory %%DIR%%; module told; workers 1; environment PYTHONDONTWRITEBYTECODE=1; }
      add_header X-Peer "$remote_addr $realip_remote_addr";
      server {
        listen 127.0.0.1:%%PORT_0%%;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Forwarded-For;
        app_trusted_proxies 127.0.0.1; ${secure}
        location / { app_pass one; }
      }
      server {
        listen 127.0.0.1:%%PORT_1%%;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Forwarded-For;
        app_trusted_proxies 192.0.2.1; app_forwarded x-forwarded; ${secure}
        location / { app_pass one; }
      }
      server {
        listen 127.0.0.1:%%PORT_2%%;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Forwarded-For;
        app_trusted_proxies 127.0.0.1 10.0.0.0/8; app_forwarded x-forwarded;
        location / { app_pass one; }
      }
      server {
        listen 127.0.0.1:%%PORT_3%%;
        app_trusted_proxies 127.0.0.1; app_forwarded x-forwarded;
        location / { set_real_ip_from 127.0.0.1; set_real_ip_from 192.0.2.1; app_pass one; }
      }
    }`,
    files,
  },
)

async function told(server_: number, headers: Readonly<Record<string, string>>): Promise<readonly (string | null)[]> {
  const answer = await request({ address: server.ports[server_]!, headers: { Host: 'a', ...headers } })
  return [answer.text, answer.header('x-peer')]
}

test('the peer is trusted whose address real_ip has replaced', async () => {
  const said = { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https', SCRIPT_NAME: '' }
  assert.deepEqual(await told(0, said), ['192.0.2.1 https  a', '192.0.2.1 127.0.0.1'])
  assert.deepEqual(await told(0, { 'X-Forwarded-For': '192.0.2.1' }), ['192.0.2.1 http  a', '192.0.2.1 127.0.0.1'])
})

test('a client behind a proxy is not trusted for its address', async () => {
  const said = { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'b' }
  assert.deepEqual(await told(1, said), ['192.0.2.1 http  a', '192.0.2.1 127.0.0.1'])
})

test('who the client is stays what real_ip has found, the scheme and the host are the proxy’s', async () => {
  const said = { 'X-Forwarded-For': '192.0.2.9, 10.0.0.1', 'X-Forwarded-Proto': 'http, https', 'X-Forwarded-Host': 'b' }
  assert.deepEqual(await told(2, said), ['10.0.0.1 https  b', '10.0.0.1 127.0.0.1'])
})

test('a host that a proxy names must be one', async () => {
  for (const [said, heard] of [
    ['b:8443', 'b:8443'],
    ['[2001:db8::1]:443', '[2001:db8::1]:443'],
    ['b:c', 'a'],
    ['b:', 'a'],
    ['[b]', '[b]'],
    ['2001:db8::1', 'a'],
  ] as const)
    assert.deepEqual((await told(2, { 'X-Forwarded-Host': said }))[0], `127.0.0.1 http  ${heard}`, said)
})

test('what app_forwarded has found is not replaced once more, and the connection’s own address is known', async () => {
  const said = { 'X-Forwarded-For': '192.0.2.1', 'X-Real-IP': '192.0.2.9' }
  assert.deepEqual(await told(3, said), ['192.0.2.1 http  a', '192.0.2.1 127.0.0.1'])
})
