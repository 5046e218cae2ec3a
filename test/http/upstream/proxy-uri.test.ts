// What proxy_pass asks for, by location and proxy_pass URL. The expected lines are nginx 1.31.5's.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { origin, request, serve } from '../../helpers/index.ts'
import type { Server } from '../../helpers/index.ts'

/** Configuration, request target, and the target and Host the upstream sees. `%%`: its address; `@@`: its socket. */
type Row = readonly [conf: string, target: string, seen: string]

const plain: readonly Row[] = [
  ['location / { proxy_pass http://%%; }', '/a/b?c=d', '/a/b?c=d|%%'],
  ['location / { proxy_pass http://%%/; }', '/a/b?c=d', '/a/b?c=d|%%'],
  ['location / { proxy_pass http://%%/x; }', '/a/b?c=d', '/xa/b?c=d|%%'],
  ['location / { proxy_pass http://%%/x/; }', '/a/b', '/x/a/b|%%'],
  ['location /a/ { proxy_pass http://%%; }', '/a/b', '/a/b|%%'],
  ['location /a/ { proxy_pass http://%%/; }', '/a/b', '/b|%%'],
  ['location /a/ { proxy_pass http://%%/x; }', '/a/b', '/xb|%%'],
  ['location /a/ { proxy_pass http://%%/x/; }', '/a/b?q', '/x/b?q|%%'],
  ['location /a { proxy_pass http://%%/x/; }', '/a/b', '/x//b|%%'],
  ['location /a { proxy_pass http://%%/x; }', '/ab', '/xb|%%'],
  ['location = /a { proxy_pass http://%%/x?y=1; }', '/a?z=2', '/x?y=1?z=2|%%'],
  ['location = /a { proxy_pass http://%%/x?y=1; }', '/a', '/x?y=1|%%'],
  ['location ^~ /a/ { proxy_pass http://%%/x/; }', '/a/%62/c', '/x/b/c|%%'],
  ['location ~ ^/a { proxy_pass http://%%; }', '/a/%62//c?d', '/a/%62//c?d|%%'],
  ['location / { proxy_pass http://%%; }', '/a%2fb/../c//d', '/a%2fb/../c//d|%%'],
  ['location / { proxy_pass http://%%/; }', '/a%2fb/../c//d', '/a/c/d|%%'],
  ['location / { proxy_pass http://%%/; }', '/a%20b%3fc%23d%25', '/a%20b%3Fc%23d%25|%%'],
  ['location / { proxy_pass http://%%/; }', '/caf%c3%a9', '/caf%C3%A9|%%'],
  ['location / { proxy_pass http://%%/; }', '/a//b', '/a/b|%%'],
  ['location / { proxy_pass http://%%/x; }', '/%2e%2e/a', '400'],
  ['location / { proxy_pass http://%%; }', '/?', '/?|%%'],
  ['location / { proxy_pass http://%%/; }', '/?', '/|%%'],
  ['location / { proxy_pass http://%%/; }', '/a?b?c=%20', '/a?b?c=%20|%%'],
  ['location /a/ { proxy_pass http://%%?x=1; }', '/a/b', '?x=1b|%%'],
  ['location / { proxy_pass http://unix:@@; }', '/a%20b', '/a%20b|localhost'],
  ['location /a/ { proxy_pass http://unix:@@:/x/; }', '/a/b?c', '/x/b?c|localhost'],
  ['location /a/ { proxy_pass http://unix:@@:; }', '/a/b?c', '/a/b?c|localhost'],
  ['location /a/ { location /a/b/ { proxy_pass http://%%/x/; } }', '/a/b/c', '/x/c|%%'],
]

const variables: readonly Row[] = [
  ['location / { set $t %%; proxy_pass http://$t; }', '/a%62?c', '/a%62?c|%%'],
  ['location /a/ { set $t %%; proxy_pass http://$t/fixed; }', '/a/b?c', '/fixed|%%'],
  ['location /a/ { set $t %%; proxy_pass http://$t$request_uri; }', '/a/%62?c', '/a/%62?c|%%'],
  ['location /a/ { set $t %%; proxy_pass http://$t/x?a=$arg_c; }', '/a/b?c=1', '/x?a=1|%%'],
]

const rewritten: readonly Row[] = [
  ['location /a/ { rewrite ^/a/(.*)$ /r/$1 break; proxy_pass http://%%; }', '/a/b%20c?d', '/r/b%20c?d|%%'],
  ['location /a/ { rewrite ^/a/(.*)$ /r/$1 break; proxy_pass http://%%/x/; }', '/a/b?d', '/r/b?d|%%'],
  ['location /a/ { rewrite ^/a/(.*)$ /c/$1 last; } location /c/ { proxy_pass http://%%/x/; }', '/a/b?d', '/x/b?d|%%'],
  ['location / { try_files /none @p; } location @p { proxy_pass http://%%; }', '/a%2fb//c?d', '/a%2fb//c?d|%%'],
  ['location / { if ($arg_p) { proxy_pass http://%%; } }', '/a%62?p=1', '/a%62?p=1|%%'],
]

for (const [what, rows] of [
  ['the upstream is asked for what nginx would ask for', plain],
  ['the upstream is asked for what nginx would ask for, with variables in proxy_pass', variables],
  ['the upstream is asked for what nginx would ask for, after rewrites and in fallbacks', rewritten],
] as const) {
  test(what, async t => {
    const tcp = await origin(t, answerTarget)
    const unix = await origin(t, answerTarget, { unix: true })
    const servers = rows.map(([conf], i) => {
      const location = conf.replaceAll('%%', tcp.path).replaceAll('@@', unix.path)
      return `server { listen 127.0.0.1:%%PORT_0%%; server_name s${i}; root %%DIR%%; ${location} }`
    })
    const server = await serveIfKnown(t, `http { ${servers.join('\n')} }`)
    if (server === null) return
    for (const [i, [conf, target, seen]] of rows.entries()) {
      const response = await request({ address: server.port, path: target, headers: { Host: `s${i}` } })
      const got = response.status === 200 ? response.text.replace(tcp.path, '%%') : String(response.status)
      assert.equal(got, seen, `${conf} with ${target}`)
    }
  })
}

/** Null, and the test skipped, while a directive of another module is not there. */
async function serveIfKnown(t: TestContext, conf: string): Promise<Server | null> {
  try {
    return await serve(t, conf)
  } catch (error) {
    const unknown = /unknown directive "(?:rewrite|if|try_files)"/.exec(String(error))
    if (unknown === null) throw error
    t.skip(unknown[0])
    return null
  }
}

function answerTarget(request: { target: string; header(name: string): string | null }): string {
  const body = `${request.target}|${request.header('host')}`
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}
