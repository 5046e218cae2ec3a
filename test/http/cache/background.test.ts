import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually } from '../../helpers/eventually.ts'
import { serveHttp } from '../../helpers/http.ts'
import { origin, request } from '../../helpers/index.ts'

const STALE = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=0, stale-while-revalidate=100\r\n'

test('what is fetched behind the client is asked for with the fields and the body of the client', async t => {
  const app = await origin(t, () => `${STALE}X-Accel-Expires: @1\r\nContent-Length: 2\r\n\r\nok`)
  const { port } = await serveHttp(
    t,
    `location / { proxy_pass http://127.0.0.1:${app.port}; proxy_cache one; proxy_cache_methods GET POST;
       proxy_cache_key $request_method$uri$http_x; proxy_cache_use_stale updating; proxy_cache_background_update on;
       add_header X-Cache $upstream_cache_status; }`,
    'proxy_cache_path cache keys_zone=one:1m;',
    { files: { 'cache/x': '', 'proxy_temp/x': '' } },
  )
  for (const [method, body] of [
    ['GET', ''],
    ['POST', 'a body of some bytes'],
  ] as const) {
    const before = app.requests.length
    const ask = (): ReturnType<typeof request> =>
      request({ address: port, path: '/a', method, headers: { X: method }, ...(body === '' ? {} : { body }) })
    assert.equal((await ask()).header('x-cache'), 'MISS')
    assert.equal((await ask()).header('x-cache'), 'STALE')
    await eventually(() => app.requests.length === before + 2)
    const fetched = app.requests.at(-1)!
    assert.deepEqual([fetched.method, fetched.header('x'), fetched.text], [method, method, body])
  }
})
