import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { get } from '../../helpers/raw.ts'
import { request } from '../../helpers/index.ts'
import { origin } from '../../helpers/origin.ts'

// What nginx 1.31.5 answers to the same blocks.
const blocks = `
  location / { return 200 root; }
  location = / { return 200 exact-root; }
  location /docs { return 200 docs; }
  location /docs/ { return 200 docs-slash;
    location /docs/deep { return 200 deep; }
    location ~ deeper$ { return 200 inner-regex; } }
  location ^~ /images/ { return 200 images; }
  location ~* \\.(gif|jpg)$ { return 200 picture; }
  location ~ ^/(?<word>[a-z]+)/x$ { return 200 "$1 $word"; }
  location = /exact { return 200 exact; }
  location /inner { internal; return 200 inner; }
  location /named { try_files /nothing @twice; }
  location @twice { return 200 first; }
  location @twice { return 200 second; }
`
const cases: readonly (readonly [path: string, status: number, body: string])[] = [
  ['/', 200, 'exact-root'],
  ['/other', 200, 'root'],
  ['/docs', 200, 'docs'],
  ['/docsx', 200, 'docs'],
  ['/docs/a', 200, 'docs-slash'],
  ['/docs/deep', 200, 'deep'],
  ['/docs/deep/deeper', 200, 'inner-regex'],
  ['/docs/a.gif', 200, 'picture'],
  ['/images/a.gif', 200, 'images'],
  ['/A.JPG', 200, 'picture'],
  ['/abc/x', 200, 'abc abc'],
  ['/exact', 200, 'exact'],
  ['/exact/', 200, 'root'],
  ['/named', 200, 'first'],
  ['/%65xact', 200, 'exact'],
  ['/a/../exact', 200, 'exact'],
  ['//exact', 200, 'exact'],
]

test('location: exact, prefix, ^~, regular expressions and nesting in nginx’s order', async t => {
  const { port } = await serveHttp(t, blocks)
  for (const [path, status, body] of cases) {
    const response = await get(port, path)
    assert.deepEqual([response.status, response.text], [status, body], path)
  }
  assert.equal((await get(port, '/inner')).status, 404)
})

test('location: a folder that is passed on is redirected to with its slash', async t => {
  const back = await origin(t)
  const { port } = await serveHttp(
    t,
    `location / { return 200 root; } location /app/ { proxy_pass http://127.0.0.1:${back.port}; }`,
  )
  const response = await get(port, '/app?x=1')
  assert.equal(response.status, 301)
  assert.equal(response.header('location'), `http://localhost:${port}/app/?x=1`)
})

test('server_name: exact, wildcards, regular expressions, then the default', async t => {
  const names = ['exact.test', '*.wild.test', 'www.*', '.both.test', '~^(?<who>[a-z]+)\\d+\\.rx$']
  const blocks = names.map(
    name => `} server { listen %PORT%; server_name ${name}; return 200 ${name.replaceAll(/[^a-z.*]/g, '')};`,
  )
  const { port } = await serveHttp(t, `return 200 default; ${blocks.join('\n')}`)
  const expected: Readonly<Record<string, string>> = {
    'exact.test': 'exact.test',
    'EXACT.test:80': 'exact.test',
    'a.b.wild.test': '*.wild.test',
    'wild.test': 'default',
    'www.example.org': 'www.*',
    'both.test': '.both.test',
    'x.both.test': '.both.test',
    'abc12.rx': 'whoazd.rx',
    nobody: 'default',
  }
  for (const [host, body] of Object.entries(expected))
    assert.equal((await get(port, '/', { Host: host })).text, body, host)
})

test('location: internal holds for the locations inside, and the refusal is the location’s own', async t => {
  const { port } = await serveHttp(
    t,
    `location / { return 200 root;
       location ~ hidden { internal; add_header X-Where here always; error_page 404 =404 /told; } }
     location = /told { return 200 told; }
     location /in { internal; location /in/deep { return 200 deep; } location ~ regex { return 200 regex; } }
     location /go { rewrite ^ /in/deep last; }`,
  )
  for (const path of ['/in', '/in/deep', '/in/regex']) assert.equal((await get(port, path)).status, 404, path)
  assert.equal((await get(port, '/go')).text, 'deep')
  assert.deepEqual([(await get(port, '/hidden')).status, (await get(port, '/hidden')).text], [404, 'told'])
})

test('location: what passes on is redirected to as its own location says, exact ones, too; what answers itself is not', async t => {
  const back = await origin(t)
  const { port } = await serveHttp(
    t,
    `location / { return 200 root; }
     location /app/ { proxy_pass http://127.0.0.1:${back.port}; add_header X-App a; absolute_redirect off; }
     location = /exact/ { proxy_pass http://127.0.0.1:${back.port}; }
     location /gif/ { empty_gif; }
     location /secret/ { internal; proxy_pass http://127.0.0.1:${back.port}; }
     location /small/ { client_max_body_size 1; proxy_pass http://127.0.0.1:${back.port}; }`,
  )
  const app = await get(port, '/app')
  assert.deepEqual([app.status, app.header('location'), app.header('x-app')], [301, '/app/', 'a'])
  assert.equal((await get(port, '/exact')).header('location'), `http://localhost:${port}/exact/`)
  assert.equal((await get(port, '/gif')).text, 'root')
  assert.equal((await get(port, '/secret')).status, 404)
  const large = await request({ address: port, path: '/small', method: 'POST', body: 'ab' })
  assert.deepEqual([large.status, large.header('location')], [413, null])
})

test('location: `/` alone does not take what is no path', async t => {
  const up = await origin(t, () => 'HTTP/1.1 200 OK\r\nX-Accel-Redirect: elsewhere\r\nContent-Length: 0\r\n\r\n')
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; }`)
  assert.equal((await get(server.port, '/')).status, 404)
})
