import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { certificate } from '../../helpers/certificates.ts'
import { get, needs, serve, tempDir, type Server } from '../../helpers/index.ts'

/** A front and, on another port, the TLS server it asks. */
async function pair(t: TestContext, locations: string, server = ''): Promise<Server> {
  const dir = tempDir(t)
  certificate(dir, 'example.org')
  certificate(dir, 'client', { password: 'word' })
  writeFileSync(join(dir, 'words'), 'word')
  return serve(t, {
    dir,
    conf: `http {
      proxy_ssl_session_reuse off;
      server { listen %%PORT_0%%; ${locations} }
      server { listen %%PORT_1%% ssl; ssl_certificate example.org.crt; ssl_certificate_key example.org.key; ${server}
        location / { return 200 "$ssl_server_name|$ssl_session_reused|$ssl_client_verify|$host|$request_uri"; }
        location /spoken/protocol { return 200 $ssl_protocol; }
        location /echo { proxy_pass http://127.0.0.1:%%PORT_2%%; }
        location /big { root %%DIR%%; } }
      server { listen %%PORT_2%%; location / { client_body_in_single_buffer on; mirror off; return 200 "$request_length"; } } }`,
  })
}

async function body(server: Server, path: string): Promise<string> {
  return (await get({ host: '127.0.0.1', port: server.ports[0]! }, path)).text
}

test('an upstream is asked over TLS, told the name on demand, and sessions are resumed on demand', async t => {
  if (!needs(t, 'openssl')) return
  const server = await pair(
    t,
    `location /plain { proxy_pass https://127.0.0.1:%%PORT_1%%; }
     location /named { proxy_pass https://127.0.0.1:%%PORT_1%%; proxy_ssl_server_name on; proxy_ssl_name example.org:1; }
     location /again { proxy_pass https://127.0.0.1:%%PORT_1%%; proxy_ssl_session_reuse on; proxy_set_header Connection close; }
     location /big { proxy_pass https://127.0.0.1:%%PORT_1%%; }
     location ~ ^/variable(.*) { proxy_pass https://127.0.0.1:%%PORT_1%%$1; }`,
  )
  writeFileSync(join(server.dir, 'big'), Buffer.alloc(2_000_000, 'portico '))
  assert.equal(await body(server, '/plain'), '|.|NONE|127.0.0.1|/plain')
  assert.equal(await body(server, '/named'), 'example.org|.|NONE|127.0.0.1|/named')
  assert.equal(await body(server, '/variable/x'), '|.|NONE|127.0.0.1|/x')
  assert.equal(await body(server, '/again'), '|.|NONE|127.0.0.1|/again')
  assert.equal(await body(server, '/again'), '|r|NONE|127.0.0.1|/again')
  assert.equal(await body(server, '/big'), 'portico '.repeat(250_000))
})

test('each server that is tried can be told its own name', async t => {
  if (!needs(t, 'openssl')) return
  const dir = tempDir(t)
  certificate(dir, 'example.org')
  const server = await serve(t, {
    dir,
    conf: `http {
      upstream u { server 127.0.0.1:1; server localhost:%%PORT_1%%; }
      server { listen %%PORT_0%%; location / { proxy_pass https://u; proxy_ssl_server_name on;
        proxy_ssl_name $upstream_last_server_name; } }
      server { listen 127.0.0.1:%%PORT_1%% ssl; ssl_certificate example.org.crt; ssl_certificate_key example.org.key;
        location / { return 200 "$ssl_server_name"; } } }`,
  })
  for (let i = 0; i < 4; i++) assert.equal(await body(server, '/'), 'localhost')
})

test('a handshake that ends before its time is told, and what nobody looks at need not be there', async t => {
  if (!needs(t, 'openssl')) return
  const mute = net.createServer(socket => void socket.once('data', () => socket.end()))
  await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
  t.after(() => mute.close())
  const server = await pair(
    t,
    `proxy_ssl_server_name on; proxy_ssl_trusted_certificate nobody.crt; proxy_ssl_crl nobody.crl;
     location /mute { proxy_pass https://127.0.0.1:${(mute.address() as net.AddressInfo).port}; }
     location /name { proxy_pass https://127.0.0.1:%%PORT_1%%; proxy_ssl_name $arg_name; }`,
  )
  assert.match(await body(server, '/mute'), /502 Bad Gateway/)
  assert.match(server.errorLog(), /peer closed connection in SSL handshake while SSL handshaking to upstream/)
  for (const [name, told] of [
    ['a.b:443', 'a.b'],
    ['a:b', 'a'],
    ['1.2.3', '1.2.3'],
    ['1.2.3.4', ''],
    ['[::1]:443', ''],
  ]) {
    assert.match(await body(server, `/name?name=${name}`), new RegExp(`^${told!.replaceAll('.', '\\.')}\\|`))
  }
})

test('an upstream’s certificate is checked, and ours shown', async t => {
  if (!needs(t, 'openssl')) return
  const server = await pair(
    t,
    `proxy_ssl_verify on; proxy_ssl_trusted_certificate example.org.crt;
     location /good { proxy_pass https://127.0.0.1:%%PORT_1%%; proxy_ssl_name example.org; }
     location /other { proxy_pass https://127.0.0.1:%%PORT_1%%; proxy_ssl_name example.com; }
     location /untrusted { proxy_pass https://127.0.0.1:%%PORT_1%%; proxy_ssl_trusted_certificate client.crt; }
     location /shown { proxy_pass https://127.0.0.1:%%PORT_1%%; proxy_ssl_name example.org; proxy_ssl_certificate client.crt;
       proxy_ssl_certificate_key client.key; proxy_ssl_password_file words; }
     location /varies { proxy_pass https://127.0.0.1:%%PORT_1%%; proxy_ssl_name example.org; proxy_ssl_certificate $arg_c.crt;
       proxy_ssl_certificate_key $arg_c.key; proxy_ssl_password_file words; proxy_ssl_certificate_cache max=4; }
     location /spoken { proxy_pass https://127.0.0.1:%%PORT_1%%; proxy_ssl_name example.org;
       proxy_ssl_conf_command MaxProtocol TLSv1.2; }
     location /plain { proxy_pass https://127.0.0.1:%%PORT_2%%; }`,
    'ssl_verify_client optional; ssl_client_certificate client.crt;',
  )
  assert.match(await body(server, '/good'), /\|NONE\|/)
  assert.match(await body(server, '/shown'), /\|SUCCESS\|/)
  assert.match(await body(server, '/varies?c=client'), /\|SUCCESS\|/)
  assert.match(await body(server, '/varies?c=nobody'), /500 Internal Server Error/)
  assert.match(server.errorLog(), /\[error\].*cannot load certificate ".*\/nobody\.crt": BIO_new_file\(\) failed/)
  assert.equal(await body(server, '/spoken/protocol'), 'TLSv1.2')
  assert.match(await body(server, '/other'), /502 Bad Gateway/)
  assert.match(await body(server, '/untrusted'), /502 Bad Gateway/)
  assert.match(await body(server, '/plain'), /502 Bad Gateway/)
  const log = server.errorLog()
  assert.match(log, /upstream SSL certificate does not match "example\.com" while SSL handshaking to upstream/)
  assert.match(
    log,
    /upstream SSL certificate verify error: \(.*self-signed certificate\) while SSL handshaking to upstream/,
  )
  assert.match(log, /SSL_do_handshake\(\) failed \(SSL: error:.*\) while SSL handshaking to upstream/)
})
