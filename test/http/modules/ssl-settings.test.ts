// What several ssl_* directives make of each other.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { certificate } from '../../helpers/certificates.ts'
import { check } from '../../helpers/check.ts'
import { serve, tempDir } from '../../helpers/index.ts'

const OWN = 'ssl_certificate a.test.crt; ssl_certificate_key a.test.key;'

/** What -t says of a server with them. */
function checked(t: TestContext, settings: string): string {
  const dir = tempDir(t)
  certificate(dir, 'a.test')
  const conf = `events {} http { server { listen 127.0.0.1:18443 ssl; ${OWN} ${settings} } }`
  writeFileSync(join(dir, 'nginx.conf'), conf)
  return check(dir, 'nginx.conf').stderr
}

test('certificates that variables name are shown though others are to be compressed', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a.test')
  const named = 'ssl_certificate $ssl_server_name.crt; ssl_certificate_key $ssl_server_name.key;'
  const conf = `events {} http { ssl_certificate_compression on; server { listen 127.0.0.1:%%PORT_0%% ssl; ${named} } }`
  const server = await serve(t, { dir, conf })
  const socket = tls.connect({ port: server.port, host: '127.0.0.1', servername: 'a.test', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  assert.equal(socket.getPeerCertificate().subject.CN, 'a.test')
  socket.destroy()
})

test('what is stapled to certificates cannot be compressed with them', t => {
  const words = '"ssl_stapling" is incompatible with "ssl_certificate_compression"'
  assert.ok(checked(t, 'ssl_stapling on; ssl_certificate_compression on;').includes(words))
})

test('ssl_session_cache may be said in several lines', t => {
  assert.match(checked(t, 'ssl_session_cache builtin; ssl_session_cache shared:one:1m;'), /test is successful/)
})
