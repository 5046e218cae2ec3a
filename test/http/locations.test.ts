import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../helpers/http.ts'
import { get } from '../helpers/raw.ts'
import { origin } from '../helpers/origin.ts'

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
