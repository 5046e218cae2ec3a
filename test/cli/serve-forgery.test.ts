// What a peer may make the logs and the application believe by fields and headers that are not its own to send.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, needs, PYTHON, raw, serveApp } from '../helpers/index.ts'

const env = { PORTICO_PYTHON: PYTHON }
const files = {
  'told.py': `def application(environ, start_response):
    start_response('200 OK', [])
    return [environ['REMOTE_ADDR'].encode()]
`,
}
const FORMAT = '%(U)s|%({x-forwarded-for}i)s|%(a)s'

test('a log does not take a field with "_" for the one with "-", which the application does not see', async t => {
  if (!needs(t, 'python3')) return
  const args = ['--access-logfile', 'a.log', '--access-logformat', FORMAT]
  const server = await serveApp(t, [...args, 'told'], { files, env })
  const client = await raw(t, server.port)
  await client.send('GET /1 HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 192.0.2.1\r\nUser_Agent: forged\r\n\r\n')
  await client.response()
  await client.send(
    'GET /2 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.2\r\nX_Forwarded_For: 192.0.2.1\r\nUser-Agent: own\r\n\r\n',
  )
  await client.response()
  await eventually(() => server.file('a.log').includes('/2'))
  assert.equal(server.file('a.log'), '/1|-|-\n/2|192.0.2.2|own\n')
})

test('a log has what a trusted proxy may say with "_"', async t => {
  if (!needs(t, 'python3')) return
  const args = ['--access-logfile', 'a.log', '--access-logformat', FORMAT, '--forwarder-headers', 'X_FORWARDED_FOR']
  const server = await serveApp(t, [...args, 'told'], { files, env })
  const client = await raw(t, server.port)
  await client.send('GET /1 HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 192.0.2.1\r\n\r\n')
  await client.response()
  await eventually(() => server.file('a.log').includes('/1'))
  assert.equal(server.file('a.log'), '/1|192.0.2.1|-\n')
})

test('what is no address in the PROXY protocol is nobody, even of a trusted peer', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--proxy-protocol', 'v1', 'told'], { files, env })
  for (const source of ['300.0.0.1', '1.2.3', ':::', '...']) {
    const client = await raw(t, server.port)
    await client.send(`PROXY TCP4 ${source} 192.0.2.1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n`)
    assert.equal((await client.response()).status, 400, source)
  }
})
