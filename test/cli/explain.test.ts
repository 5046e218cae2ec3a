// `portico explain`: what it tells of a request is what the server would do with it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'node:test'
import { get, serve, tempDir, writeFiles } from '../helpers/index.ts'
import { PORTICO } from '../helpers/serve.ts'

const conf = `events {}
http {
  upstream backend { server 127.0.0.1:9001 weight=2; server 127.0.0.1:9002 backup; }
  server {
    listen 127.0.0.1:18080;
    server_name a.example;
    location / { return 200 a; }
  }
  server {
    listen 127.0.0.1:18080;
    server_name b.example *.b.example;
    error_page 404 /404.html;
    error_page 403 @denied;
    rewrite ^/old/(.*)$ /new/$1 last;
    location / { try_files $uri /index.html; }
    location = /exact { return 301 /b; }
    location ^~ /static/ { access_log off; }
    location /api/ {
      deny all;
      auth_basic "x";
      auth_basic_user_file passwords;
      if ($request_method = POST) { return 405; }
      proxy_pass http://backend/v1/;
      location ~ \\.json$ { proxy_pass http://127.0.0.1:9003; }
    }
    location ~ \\.php$ { return 403; }
    location ~* \\.(gif|jpg)$ { expires 1d; }
    location /loop { rewrite ^/loop(.*)$ /loop$1x last; }
    location @denied { return 200 denied; }
    location /secret/ { internal; }
    location /list/ { autoindex on; gzip_static on; }
  }
}
`

interface Step {
  readonly step: string
  readonly text: string
  readonly file: string | null
  readonly line: number | null
  readonly details: readonly { readonly text: string; readonly line: number | null }[]
}

function run(args: readonly string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(PORTICO, ['explain', ...args], { encoding: 'latin1', timeout: 60_000 })
  return { code: status, out: stdout, err: stderr }
}

function folder(t: test.TestContext, text = conf): string {
  const dir = tempDir(t)
  writeFiles(dir, { 'a.conf': text, 'html/index.html': 'hello', 'html/list/b': '' })
  return dir
}

function explain(t: test.TestContext, method: string, url: string, more: readonly string[] = [], text = conf): Step[] {
  const { code, out, err } = run(['-p', folder(t, text), '-c', 'a.conf', '--json', ...more, method, url])
  assert.equal(err, '')
  assert.equal(code, 0)
  return (JSON.parse(out) as { steps: Step[] }).steps
}

function find(steps: readonly Step[], name: string, last = false): Step {
  const found = last ? steps.findLast(({ step }) => step === name) : steps.find(({ step }) => step === name)
  assert.ok(found, `no step "${name}" in ${JSON.stringify(steps, null, 1)}`)
  return found
}

const texts = (steps: readonly Step[], name: string): string[] =>
  steps.filter(({ step }) => step === name).map(({ text }) => text)

test('the server is found by name, wildcard or default, and the others are told with the reason', t => {
  const steps = explain(t, 'GET', 'http://www.b.example:18080/exact')
  assert.match(find(steps, 'address').text, /^127\.0\.0\.1:18080$/)
  assert.equal(find(steps, 'address').line, 5)
  assert.equal(find(steps, 'server').text, 'b.example: host "www.b.example" is its server_name *.b.example (wildcard)')
  assert.equal(find(steps, 'server').line, 9)
  assert.match(find(steps, 'server').details[0]!.text, /^not server_name a\.example \(the default\): does not match$/)
  const other = explain(t, 'GET', '/', ['-H', 'Host: c.example'])
  assert.equal(find(other, 'server').text, 'a.example: no server_name is "c.example"; this is the first of the address')
})

test('an exact location ends the search, and a redirect is told with its Location', t => {
  const steps = explain(t, 'GET', 'http://b.example:18080/exact')
  assert.match(find(steps, 'exact').text, /location = \/exact is the URI exactly/)
  assert.deepEqual(texts(steps, 'regex'), [])
  assert.match(find(steps, 'response').text, /^301 Moved Permanently/)
  assert.equal(find(steps, 'response').details[0]!.text, 'Location: http://b.example:18080/b')
})

test('a location with ^~ keeps regular expressions out, else they are tried in order', t => {
  const fixed = explain(t, 'GET', 'http://b.example:18080/static/a.jpg')
  assert.match(find(fixed, 'prefix').text, /\^~ \/static\/ is the longest prefix: no regular expression is tried/)
  assert.match(find(fixed, 'static').details[0]!.text, /html\/static\/a\.jpg" does not exist/)
  const tried = explain(t, 'GET', 'http://b.example:18080/pic.JPG')
  assert.deepEqual(texts(tried, 'regex').slice(0, 2), [
    'location ~ \\.php$ does not match',
    'location ~* \\.(gif|jpg)$ is the first regular expression that matches',
  ])
  assert.equal(find(tried, 'location').line, 27)
})

test('a rewrite is followed to its new location, and try_files to the file', t => {
  const steps = explain(t, 'GET', 'http://b.example:18080/old/a%20b/..//c?q=1')
  assert.match(
    find(steps, 'uri').text,
    /^"\/old\/c", decoded and normalised from "\/old\/a%20b\/\.\.\/\/c"; arguments "q=1"$/,
  )
  assert.match(find(steps, 'rule').text, /matches "\/old\/c", which becomes "\/new\/c"/)
  assert.equal(find(steps, 'rule').line, 14)
  assert.match(find(steps, 'try-files').details.at(-1)!.text, /none: goes to "\/index\.html"/)
  assert.match(find(steps, 'redirect').text, /^try-files goes on as "\/index\.html"/)
  assert.match(find(steps, 'static').details[0]!.text, /html\/index\.html", 5 bytes$/)
  assert.match(find(steps, 'response').text, /^200 OK, .*5 bytes$/)
})

test('access checks are listed and not run, and a proxy is told with its peers and the URI sent', t => {
  const steps = explain(t, 'GET', 'http://b.example:18080/api/x?y')
  const access = steps.filter(({ step }) => step === 'access').flatMap(({ details }) => details.map(({ text }) => text))
  assert.deepEqual(
    access.filter(text => !text.startsWith('who gives a password')),
    ['deny all', 'auth_basic "x"', 'auth_basic_user_file passwords'],
  )
  assert.match(find(steps, 'rule', true).text, /if \(\$request_method = POST\): does not hold/)
  const handler = find(steps, 'handler')
  assert.equal(handler.text, 'proxy answers')
  assert.equal(handler.line, 23)
  assert.deepEqual(
    handler.details.map(({ text }) => text),
    ['upstream "backend"', 'server 127.0.0.1:9001 weight=2', 'server 127.0.0.1:9002 backup', 'sends GET /v1/x?y'],
  )
})

test('a password file is told of that does not exist, or has no users', t => {
  const text = `events {} http { server { listen 127.0.0.1:18080; auth_basic x;
    location / { auth_basic_user_file no; } location /a/ { auth_basic_user_file a.conf; }
    location /b/ { auth_basic_user_file html/list/b; } location /off/ { auth_basic off; auth_basic_user_file no; }
    location /dir/ { auth_basic_user_file html; } } }`
  const told = (path: string): string =>
    explain(t, 'GET', `http://x:18080${path}`, [], text)
      .filter(({ step }) => step === 'access')
      .flatMap(({ details }) => details.map(detail => detail.text))[0] ?? ''
  assert.match(told('/'), /^who gives a password gets 403: "\/.*\/no" cannot be read \(2: No such file or directory\)$/)
  assert.match(told('/dir/'), /^who gives a password gets 500: "\/.*\/html" cannot be read \(21: Is a directory\)$/)
  assert.match(told('/b/'), /^nobody is let in: there are no users in "\/.*\/b"$/)
  assert.equal(told('/a/'), 'auth_basic x')
  assert.equal(told('/off/'), '')
})

test('nested locations are asked before those around them', t => {
  const steps = explain(t, 'GET', 'http://b.example:18080/api/x.json')
  assert.match(find(steps, 'regex').text, /\.json\$ is the first regular expression that matches/)
  assert.equal(find(steps, 'handler').line, 24)
  assert.ok(find(steps, 'handler').details.some(({ text }) => text === 'sends GET /api/x.json'))
})

test('an if that holds is in force, and what returns there answers', t => {
  const steps = explain(t, 'POST', 'http://b.example:18080/api/x')
  assert.match(find(steps, 'status').text, /^405 /)
  assert.deepEqual(texts(steps, 'handler'), [])
})

test('error pages are followed, named locations too, and the status stays', t => {
  const steps = explain(t, 'GET', 'http://b.example:18080/x.php')
  assert.match(find(steps, 'status').text, /^403 Forbidden/)
  assert.match(find(steps, 'error page').text, /goes to location @denied/)
  assert.match(find(steps, 'response').text, /^403 Forbidden, .*6 bytes$/)
  const internal = explain(t, 'GET', 'http://b.example:18080/secret/x')
  assert.ok(texts(internal, 'location').includes('is internal, and the request comes from outside'))
  assert.match(find(internal, 'response').text, /^404 /)
})

test('folders are listed and compressed twins looked for as the server would', t => {
  assert.match(find(explain(t, 'GET', 'http://b.example:18080/list/'), 'response').text, /^200 OK, text\/html/)
  const twin = explain(t, 'GET', 'http://b.example:18080/list/a', ['-H', 'Accept-Encoding: gzip'])
  assert.match(find(twin, 'gzip-static').details[0]!.text, /list\/a\.gz": not there$/)
})

test('a path alone comes to the first address, and https needs one that speaks it', t => {
  assert.equal(
    find(explain(t, 'GET', '/x'), 'server').text,
    'a.example: no server_name is "127.0.0.1"; this is the first of the address',
  )
  assert.match(find(explain(t, 'GET', 'https://a.example:18080/'), 'refused').text, /no TLS is spoken there/)
  assert.match(find(explain(t, 'GET', 'http://a.example/'), 'address').text, /nothing listens on port 80/)
})

test('circles end where they end in the server', t => {
  const steps = explain(t, 'GET', 'http://b.example:18080/loop')
  assert.equal(texts(steps, 'search').length, 10)
  assert.match(find(steps, 'error log').text, /rewrite or internal redirection cycle while processing "\/loopx+"$/)
  assert.match(find(steps, 'response').text, /^500 /)
})

test('what a session would refuse is told as refused', t => {
  const steps = explain(t, 'GET', 'http://b.example:18080/../x')
  assert.match(find(steps, 'uri').text, /is invalid/)
  assert.match(find(steps, 'status').text, /^400 /)
  assert.match(find(explain(t, 'GET', '/', ['-H', 'Host: a b']), 'status').text, /^400 /)
})

test('the text names FILE:LINE and has no colours where it is no terminal', t => {
  const dir = folder(t)
  const { code, out } = run(['-p', dir, '-c', 'a.conf', 'GET', 'http://a.example:18080/'])
  assert.equal(code, 0)
  assert.ok(out.includes(`${join(dir, 'a.conf')}:7`))
  assert.ok(!out.includes('\x1b'))
})

test('a wrong configuration is told as -t tells it, with 1, and a wrong command line with 2', t => {
  const dir = folder(t, 'events {}\nhttp { server { lisen 80; } }\n')
  const { code, err } = run(['-p', dir, '-c', 'a.conf', 'GET', '/'])
  assert.equal(code, 1)
  const tested = spawnSync(PORTICO, ['-p', dir, '-c', 'a.conf', '-e', 'stderr', '-t'], { encoding: 'latin1' })
  assert.match(err, /\[emerg\] unknown directive "lisen" in .*a\.conf:2/)
  assert.ok(tested.stderr.includes(err.split('\n')[0]!))
  for (const args of [
    [],
    ['GET', '/'],
    ['-c', 'x'],
    ['-c', 'x', 'GET', 'ftp://a/'],
    ['-c', 'x', '-x', 'GET', '/'],
    ['-c', 'x', '-H', 'a', 'GET', '/'],
  ]) {
    const wrong = run(args)
    assert.equal(wrong.code, 2, args.join(' '))
    assert.match(wrong.err, /^portico: .*\nUsage: portico explain/)
  }
})

test('a running server answers with the status that was told', async t => {
  const server = await serve(t, {
    conf: conf.replaceAll('127.0.0.1:18080', '127.0.0.1:%%PORT_0%%'),
    files: { 'html/index.html': 'hello' },
  })
  const port = server.ports[0]!
  for (const path of ['/exact', '/x.php', '/old/c', '/loop', '/secret/x', '/static/none']) {
    const { out } = run(['-p', server.dir, '-c', 'portico.conf', '--json', 'GET', `http://b.example:${port}${path}`])
    const told = find((JSON.parse(out) as { steps: Step[] }).steps, 'response').text.slice(0, 3)
    const { status } = await get(port, path, { Host: 'b.example' })
    assert.equal(told, String(status), path)
  }
})

const CACHED = `events {}
http {
  proxy_cache_path c1 keys_zone=pages:1m;
  app_cache_path c2 keys_zone=answers:1m;
  app site { directory .; module a:b; }
  app_cache answers;
  server {
    listen 127.0.0.1:18080;
    location / {
      proxy_pass http://127.0.0.1:9001/v1/;
      proxy_cache pages;
      proxy_cache_valid 200 301 10m;
      proxy_cache_valid any 90s;
      proxy_cache_bypass $http_authorization;
      proxy_no_cache $arg_private;
    }
    location /key { proxy_pass http://127.0.0.1:9001; proxy_cache pages; proxy_cache_key $proxy_host$uri; proxy_cache_min_uses 3; }
    location /off { proxy_pass http://127.0.0.1:9001; proxy_cache $arg_zone; }
    location /app { app_pass site; }
  }
}
`

test('a cache is told with the key, with what passes it by and how long a response is kept', t => {
  const told = (method: string, path: string, ...args: string[]): string[] =>
    find(explain(t, method, path, args, CACHED), 'handler')
      .details.map(({ text }) => text)
      .filter(text => /cache|kept/.test(text))
  const pages = (path: string): string => `cache "pages", key "http://127.0.0.1:9001${path}"`
  const times = 'kept for as long as the response says, else 200 301 for 10m, any for 90s'
  assert.deepEqual(told('GET', '/a?b'), [pages('/v1/a?b'), times])
  assert.deepEqual(told('POST', '/a'), ['cache "pages" is not for POST (proxy_cache_methods)'])
  assert.deepEqual(told('GET', '/a', '-H', 'Authorization: x'), [
    pages('/v1/a'),
    'cache "pages" is passed by (proxy_cache_bypass)',
    times,
  ])
  assert.deepEqual(told('GET', '/a?private=1'), [pages('/v1/a?private=1'), 'the response is not kept (proxy_no_cache)'])
  assert.deepEqual(told('GET', '/key'), [
    'cache "pages", key "127.0.0.1:9001/key"',
    'kept from request 3 on, for as long as the response says',
  ])
  assert.deepEqual(told('GET', '/off'), ['proxy_cache is off'])
  assert.deepEqual(told('GET', '/off?zone=none'), ['cache "none" is unknown: 500'])
  assert.deepEqual(told('GET', 'http://site.example:18080/app?x'), [
    'cache "answers", key "http://site.example:18080/app?x"',
    'kept for as long as the response says',
  ])
})
