// TLS that ends at a stream server: what is spoken inside, and whose certificates are refused.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import { certificate } from '../helpers/certificates.ts'
import { needs, raw, serve, tempDir } from '../helpers/index.ts'

/** All that the server says. */
function listen(port: number, options: tls.ConnectionOptions): Promise<string> {
  return new Promise(resolve => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    let text = ''
    socket.on('data', bytes => (text += bytes.toString()))
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}

test('HTTP/2 may be among what is spoken inside', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const { ports } = await serve(t, {
    dir,
    conf: `stream { server { listen 127.0.0.1:%%PORT_0%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key;
      ssl_alpn h2 http/1.1; return "spoken: $ssl_alpn_protocol"; } }`,
  })
  assert.equal(await listen(ports[0]!, { ALPNProtocols: ['http/1.1', 'h2'] }), 'spoken: h2')
  assert.equal(await listen(ports[0]!, { ALPNProtocols: ['http/1.1'] }), 'spoken: http/1.1')
})

test('an upstream is offered what proxy_ssl_alpn names, variables among it', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const { ports } = await serve(t, {
    dir,
    conf: `stream {
      proxy_ssl on; proxy_ssl_alpn $none postgresql;
      server { listen 127.0.0.1:%%PORT_0%%; set $none ''; proxy_pass 127.0.0.1:%%PORT_2%%; }
      server { listen 127.0.0.1:%%PORT_1%%; set $mine imap; proxy_ssl_alpn $mine; proxy_pass 127.0.0.1:%%PORT_2%%; }
      server { listen 127.0.0.1:%%PORT_2%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key;
        ssl_alpn imap postgresql; return "spoken: $ssl_alpn_protocol"; } }`,
  })
  assert.equal(await (await raw(t, ports[0]!)).closed(), 'spoken: postgresql')
  assert.equal(await (await raw(t, ports[1]!)).closed(), 'spoken: imap')
})

test('where no authority needs to be known, a certificate can still be bad', async t => {
  if (!needs(t, 'openssl')) return
  const dir = tempDir(t)
  for (const name of ['a', 'ca', 'alone']) certificate(dir, name, { ec: true })
  for (const name of ['good', 'revoked']) certificate(dir, name, { ec: true, issuer: 'ca' })
  writeFileSync(join(dir, 'index'), '')
  writeFileSync(
    join(dir, 'ca.conf'),
    `[ca]\ndefault_ca=my\n[my]\ndatabase=${dir}/index\ndefault_md=sha256\ndefault_crl_days=2\nnew_certs_dir=${dir}\npolicy=any\n[any]\n`,
  )
  const authority = ['ca', '-config', 'ca.conf', '-keyfile', 'ca.key', '-cert', 'ca.crt']
  execFileSync('openssl', [...authority, '-revoke', 'revoked.crt'], { cwd: dir, stdio: 'pipe' })
  execFileSync('openssl', [...authority, '-gencrl', '-out', 'crl.pem'], { cwd: dir, stdio: 'pipe' })
  const server = (port: number, more: string): string =>
    `server { listen 127.0.0.1:%%PORT_${port}%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key;
      ssl_verify_client optional_no_ca; ssl_client_certificate ca.crt; ${more} return "$ssl_client_verify"; }`
  const { ports } = await serve(t, { dir, conf: `stream { ${server(0, '')} ${server(1, 'ssl_crl crl.pem;')} }` })
  const said = (port: number, name: string): Promise<string> => {
    const pair = { cert: readFileSync(join(dir, `${name}.crt`)), key: readFileSync(join(dir, `${name}.key`)) }
    return listen(port, pair)
  }
  const [port, revoking] = ports as [number, number]
  assert.match(await said(port, 'alone'), /^FAILED:self-signed certificate/)
  assert.equal(await said(port, 'revoked'), 'SUCCESS')
  assert.equal(await said(revoking, 'good'), 'SUCCESS')
  assert.equal(await said(revoking, 'revoked'), '')
})
