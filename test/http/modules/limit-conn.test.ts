import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { eventually, origin, raw, request, requestBytes, serve } from '../../helpers/index.ts'

const file = { after }
// Answers when told to.
const held: (() => void)[] = []
const slow = await origin(file, async request => {
  if (request.target.includes('wait')) await new Promise<void>(resolve => held.push(resolve))
  return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
})
const server = await serve(
  file,
  `
  worker_processes 2;
  http {
    limit_conn_zone $arg_k zone=one:64k;
    limit_conn_zone $server_name zone=all:64k;
    server {
      listen 127.0.0.1:%%PORT_0%%;
      add_header X-Status $limit_conn_status always;
      location / { limit_conn one 2; proxy_pass http://${slow.path}; }
      location /dry { limit_conn one 1; limit_conn_dry_run on; proxy_pass http://${slow.path}; }
      location /page { ssi on; ssi_types *; default_type text/html; return 200 '<!--#include virtual="/part?k=s" --><!--#include virtual="/part?k=s" -->|'; }
      location /part { limit_conn one 1; proxy_pass http://${slow.path}; }
      location = /asked { set $args k=q; limit_conn one 1; proxy_pass http://${slow.path}; }
      location /asks { auth_request /asked; add_header X-Status $limit_conn_status always; }
      location /own { limit_conn one 1; limit_conn_status 429; limit_conn_log_level notice; proxy_pass http://${slow.path}; }
    }
  }`,
)
const status = async (path: string): Promise<[number, string | null]> => {
  const response = await request({ address: server.port, path })
  return [response.status, response.header('x-status')]
}

test('limit_conn: as many as may be, whatever thread they are on, and again when one has ended', async t => {
  const clients = await Promise.all([raw(t, server.port), raw(t, server.port)])
  for (const client of clients) client.socket.write(requestBytes({ path: '/wait?k=a' }))
  await eventually(() => held.length === 2)
  assert.deepEqual(await status('/x?k=a'), [503, 'REJECTED'])
  assert.deepEqual(await status('/own?k=a'), [429, 'REJECTED'])
  assert.deepEqual(await status('/dry?k=a'), [200, 'REJECTED_DRY_RUN'])
  assert.deepEqual(await status('/x?k=b'), [200, 'PASSED'])
  assert.deepEqual(await status('/x'), [200, null])
  held.pop()!()
  await eventually(async () => (await status('/x?k=a'))[0] === 200)
  // A client that leaves gives its place back.
  for (const client of clients) client.destroy()
  held.pop()!()
  await eventually(async () => (await status('/own?k=a'))[0] === 200)
  for (const told of [
    /\[error\].* limiting connections by zone "one", client/,
    /\[notice\].* limiting connections by zone "one", client/,
    /limiting connections, dry run, by zone "one"/,
  ])
    await eventually(() => told.test(server.errorLog()))
})

test('limit_conn: what a client’s request leads to counts once, and is told of by the request itself', async () => {
  const page = await request({ address: server.port, path: '/page' })
  assert.equal(page.text, 'okok|')
  // There is no file of that name.
  assert.deepEqual(await status('/asks'), [404, 'PASSED'])
})
