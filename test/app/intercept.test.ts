// Pages of the server's own in place of an application's (app_intercept_errors).

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { get, serve } from '../helpers/index.ts'

const wsgi = `
def application(environ, start_response):
    status = environ['PATH_INFO'].rsplit('/', 1)[1]
    start_response(status + ' Odd', [('Content-Type', 'text/plain'), ('WWW-Authenticate', 'Basic'), ('X-Own', '1')])
    return iter([b'its ', b'own'])
`
const asgi = `
async def application(scope, receive, send):
    status = int(scope['path'].rsplit('/', 1)[1])
    await send({'type': 'http.response.start', 'status': status, 'headers': [(b'www-authenticate', b'Basic')]})
    await send({'type': 'http.response.body', 'body': b'its ', 'more_body': True})
    await send({'type': 'http.response.body', 'body': b'own'})
`
const node = `
module.exports = (req, res) => {
  res.writeHead(Number(req.url.split('/').at(-1)), { 'WWW-Authenticate': 'Basic' })
  res.end('its own')
}
`

const pages = 'app_intercept_errors on; error_page 401 404 /page; error_page 503 =200 /page;'
const conf = `
http {
    access_log off;
    app_cache_path %%DIR%%/cache keys_zone=kept:1m;
    app wsgi { directory %%DIR%%; module things:application; workers 1; }
    app asgi { directory %%DIR%%; module athings:application; kind asgi; workers 1; }
    app node { directory %%DIR%%; module things.cjs; workers 1; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location = /page { internal; return 200 'ours'; }
        location /wsgi/ { app_pass wsgi; ${pages} }
        location /asgi/ { app_pass asgi; ${pages} }
        location /node/ { app_pass node; ${pages} }
        location /kept/ { app_pass wsgi; app_cache kept; app_cache_valid any 1m; ${pages} }
        location /own/ { app_pass wsgi; error_page 404 /page; }
    }
}`

test('what error_page has a page for is replaced, nothing else', async t => {
  const files = { 'things.py': wsgi, 'athings.py': asgi, 'things.cjs': node }
  const server = await serve(t, { conf, files })
  const said = async (path: string): Promise<string> => {
    const { status, body } = await get(server.port, path)
    return `${status} ${body.toString()}`
  }
  for (const kind of ['wsgi', 'asgi', 'node', 'kept', 'kept']) {
    assert.equal(await said(`/${kind}/404`), '404 ours', kind)
    assert.equal(await said(`/${kind}/503`), '200 ours', kind)
    assert.equal(await said(`/${kind}/500`), '500 its own', kind)
    assert.equal(await said(`/${kind}/200`), '200 its own', kind)
    const refused = await get(server.port, `/${kind}/401`)
    assert.deepEqual([refused.status, refused.header('www-authenticate')], [401, 'Basic'], kind)
    assert.equal(refused.header('x-own'), null, kind)
  }
  assert.equal(await said('/own/404'), '404 its own')
})
