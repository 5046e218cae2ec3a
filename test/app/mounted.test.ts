// Several applications of one server, each below a path of its own (app_script_name).

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { eventually, get, serve } from '../helpers/index.ts'

const wsgi = `
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [(environ['SCRIPT_NAME'] + ' ' + environ['PATH_INFO']).encode()]
`

const asgi = `
async def application(scope, receive, send):
    if scope['type'] == 'websocket':
        await send({'type': 'websocket.accept', 'headers': [(b'x-root', scope['root_path'].encode())]})
        return
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': (scope['root_path'] + ' ' + scope['path']).encode()})
`

const conf = `
http {
    access_log off;
    app shop { directory %%DIR%%; module shop:application; workers 1; }
    app api { directory %%DIR%%; module api:application; kind asgi; workers 1; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        app_script_name /site;
        location /shop/ { app_pass shop; app_script_name /shop; }
        location = /shop { app_pass shop; app_script_name /shop; }
        location /api/ { app_pass api; app_script_name /api; }
        location /site/ { app_pass shop; }
        location /plain/ { app_pass shop; app_script_name ""; }
        location /elsewhere/ { app_pass shop; }
    }
}`

test('an application is told where it is mounted', async t => {
  const server = await serve(t, { conf, files: { 'shop.py': wsgi, 'api.py': asgi } })
  const said = async (path: string): Promise<string> => {
    const { status, body } = await get(server.port, path)
    return status === 200 ? body.toString() : `${status}`
  }
  assert.equal(await said('/shop/cart'), '/shop /cart')
  assert.equal(await said('/shop'), '/shop ')
  assert.equal(await said('/api/users'), '/api /api/users')
  assert.equal(await said('/site/x'), '/site /x')
  assert.equal(await said('/plain/x'), ' /plain/x')
  assert.equal(await said('/elsewhere/x'), '500')
  await eventually(() => /the path "\/elsewhere\/x" is not below SCRIPT_NAME "\/site"/.test(server.errorLog()))
})

test('a WebSocket is told, too', async t => {
  const server = await serve(t, { conf, files: { 'shop.py': wsgi, 'api.py': asgi } })
  const upgrade = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13' }
  const key = { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' }
  const answer = await get(server.port, '/api/socket', { ...upgrade, ...key })
  assert.deepEqual([answer.status, answer.header('x-root')], [101, '/api'])
})
