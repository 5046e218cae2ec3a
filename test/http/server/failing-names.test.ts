// Names of servers that are expressions, and texts that are too much for them: nobody knows then whose a request is, so it is nobody's.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import tls from 'node:tls'
import { certificate } from '../../helpers/certificates.ts'
import { get as get2, http2 } from '../../helpers/http2.ts'
import { headers } from '../../helpers/http2.ts'
import { raw, serve, tempDir } from '../../helpers/index.ts'

const LONG = `${'a'.repeat(60)}-`

const servers = (listen: string, more: string, answer: (which: string) => string): string => `
  server { listen ${listen}; ${more} ${answer('first')} }
  server { listen ${listen.replace(' ssl', '')}; ${more} server_name "~^(?=(a+)+b)a+b$"; ${answer('named')} }
  server { listen ${listen.replace(' ssl', '')}; ${more} server_name "~^a"; ${answer('behind')} }`

const certified = 'ssl_certificate a.crt; ssl_certificate_key a.key;'

/** How the handshake fails, or '' where all is well and what is said then. */
function shake(port: number, servername: string): Promise<string> {
  return new Promise(resolve => {
    const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => resolve(''))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.on('secureConnect', () => socket.destroy())
  })
}

test('a host that is too much for the expression of a name has no answer, and status 500 in the log', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const { ports } = await serve(t, {
    dir,
    conf: `http { access_log access.log; error_log error.log alert; http2 on;
      ${servers('127.0.0.1:%%PORT_0%%', '', which => `return 200 ${which};`)}
      ${servers('127.0.0.1:%%PORT_1%% ssl', certified, which => `return 200 ${which};`)} }
    stream { error_log error.log alert;
      ${servers('127.0.0.1:%%PORT_2%%', 'ssl_preread on;', which => `return ${which};`)}
      ${servers('127.0.0.1:%%PORT_3%% ssl', certified, which => `return ${which};`)} }`,
  })
  const [plain, secure, preread, stream] = ports as [number, number, number, number]
  const ask = async (host: string): Promise<string> => {
    const client = await raw(t, plain)
    await client.send(`GET /${host.length} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    return (await client.closed()).replace(/^.*\r\n\r\n/s, '')
  }
  assert.equal(await ask('aab'), 'named')
  assert.equal(await ask('abb'), 'behind')
  assert.equal(await ask('other'), 'first')
  assert.equal(await ask(LONG), '')

  const client = await http2(t, plain)
  const field = (host: string) =>
    get2('/').map(([name, value]) => [name, name === ':authority' ? host : value] as const)
  client.send(headers(1, field(LONG)), headers(3, field('aab')))
  assert.equal((await client.response(1)).reset, 2)
  assert.equal((await client.response(3)).body, 'named')

  for (const port of [secure, stream]) {
    assert.equal(await shake(port, 'aab'), '')
    assert.equal(await shake(port, LONG.slice(0, -1)), 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR')
  }
  assert.equal(await shake(preread, LONG.slice(0, -1)), 'ECONNRESET')
  const said = readFileSync(join(dir, 'error.log'), 'latin1').match(
    /\[alert\] .*pcre2_match\(\) failed: -47 on "a+-?"/g,
  )
  assert.equal(said?.length, 5)
  assert.match(readFileSync(join(dir, 'access.log'), 'latin1'), /"GET \/61 HTTP\/1\.1" 500 0 /)
})
