// Where a location's name has no slash at its end, and what stands for it has one, `/name../x` is of that location, too: it must
// not lead out of the folder, nor out of the path of an upstream. A WebDAV client names such a path as its destination.

import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { serveHttp } from '../helpers/http.ts'
import { get, origin, request } from '../helpers/index.ts'

const FILES = { 'html/in/a': 'inside', 'html/secret': 'secret', 'html/in/..b': 'dots' }

test('no alias is left by two dots behind its location’s name', async t => {
  const { port } = await serveHttp(
    t,
    `location /in { alias html/in/; } location /try { alias html/in/; try_files $uri =404; }
     location /bare { alias html/in; }`,
    '',
    { files: FILES },
  )
  for (const name of ['/in', '/try']) {
    assert.equal((await get(port, `${name}../secret`)).status, 404, name)
    assert.equal((await get(port, `${name}%2e%2e/secret`)).status, 404, name)
    assert.equal((await get(port, `${name}%2E.%2Fsecret`)).status, 404, name)
    assert.equal((await get(port, `${name}..b`)).text, 'dots', name)
    assert.equal((await get(port, `${name}a`)).text, 'inside', name)
  }
  assert.equal((await get(port, '/in../')).status, 403)
  assert.equal((await get(port, '/bare/a')).text, 'inside')
  assert.equal((await get(port, '/bare../secret')).status, 404)
})

test('no file is put, or copied, beside the folder of an alias', async t => {
  const { port, dir } = await serveHttp(
    t,
    'location /in { alias html/in/; dav_methods PUT COPY MOVE; } location /dav/ { alias html/in/; dav_methods COPY MOVE; }',
    '',
    { files: FILES },
  )
  await request({ address: port, method: 'PUT', path: '/in../put', body: 'x' })
  for (const [path, destination] of [
    ['/ina', '/in../copy'],
    ['/dav/a', '/abcd../copy'],
    ['/dav/a', '/abcd%2e%2e/copy'],
    ['/dav/a', `http://localhost/abcd../copy`],
  ] as const) {
    for (const method of ['COPY', 'MOVE']) {
      await request({ address: port, method, path, headers: { Destination: destination } })
    }
  }
  assert.deepEqual(readdirSync(join(dir, 'html')).sort(), ['in', 'secret'])
  assert.ok(existsSync(join(dir, 'html/in/put')))
})

test('no path of an upstream is left by two dots behind its location’s name', async t => {
  const back = await origin(t)
  const { port } = await serveHttp(
    t,
    `location /api { proxy_pass http://127.0.0.1:${back.port}/v1/; }
     location /bare { proxy_pass http://127.0.0.1:${back.port}/v2; }`,
  )
  for (const path of ['/api../admin', '/api%2e%2e/admin?a', '/api..', '/api../', '/api..b', '/bare../x'])
    await get(port, path)
  const asked = back.requests.map(({ target }) => target)
  assert.deepEqual(asked, ['/v1/admin', '/v1/admin?a', '/v1/', '/v1/', '/v1/..b', '/v2../x'])
})
