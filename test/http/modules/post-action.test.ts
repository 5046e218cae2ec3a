import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { eventually, get, origin, reply, request } from '../../helpers/index.ts'

test('post_action tells another server how a request ended, behind the client’s back', async t => {
  const account = await origin(t, reply('noted'))
  const server = await serveHttp(
    t,
    `
    root html;
    location / { post_action @account; }
    location /page2 { post_action /done?a; }
    location = /done { proxy_pass http://127.0.0.1:${account.port}; }
    location @account { proxy_pass http://127.0.0.1:${account.port}/account?uri=$uri&sent=$body_bytes_sent; }
    `,
    '',
    { files: { 'html/page': 'page', 'html/page2': 'page2' } },
  )
  assert.equal((await get(server.port, '/page')).text, 'page')
  await eventually(() => account.requests.length === 1)
  assert.equal(account.requests[0]!.target, '/account?uri=/page&sent=4')
  assert.equal((await get(server.port, '/page2')).text, 'page2')
  await eventually(() => account.requests.length === 2)
  assert.equal(account.requests[1]!.target, '/done?a')
  assert.equal((await request({ address: server.port, path: '/page', method: 'HEAD' })).status, 200)
  await eventually(() => account.requests.length === 3)
  assert.equal(account.requests[2]!.method, 'HEAD')
})
