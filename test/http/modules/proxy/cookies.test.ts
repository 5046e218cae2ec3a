import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../../helpers/http.ts'
import { get, origin } from '../../../helpers/index.ts'
import type { Scope } from '../../../helpers/index.ts'

/** What becomes of a Set-Cookie under the given directives. */
async function rewritten(t: Scope, conf: string, cookie: string): Promise<string | null> {
  const peer = await origin(t, `HTTP/1.1 200 OK\r\nSet-Cookie: ${cookie}\r\nContent-Length: 0\r\n\r\n`)
  const { port } = await serveHttp(t, `location / { proxy_pass http://${peer.path}; ${conf} }`)
  return (await get(port, '/?name=b')).header('set-cookie')
}

test('flags are added, replaced and taken away', async t => {
  const flags = 'proxy_cookie_flags a secure httponly samesite=lax;'
  assert.equal(await rewritten(t, flags, 'a=1; Path=/'), 'a=1; Path=/; Secure; HttpOnly; SameSite=Lax')
  assert.equal(await rewritten(t, flags, 'A=1; secure; SameSite=None'), 'A=1; secure; SameSite=Lax; HttpOnly')
  const none = 'proxy_cookie_flags ~^a nosecure nohttponly nosamesite;'
  assert.equal(await rewritten(t, none, 'abc=1; Secure; SameSite=Lax; HttpOnly; Max-Age=1'), 'abc=1; Max-Age=1')
})

test('only the first rule for a cookie counts, and a name may be a variable', async t => {
  const rules = 'proxy_cookie_flags $arg_name secure; proxy_cookie_flags b httponly;'
  assert.equal(await rewritten(t, rules, 'b=1'), 'b=1; Secure')
  assert.equal(await rewritten(t, rules, 'c=1'), 'c=1')
})

test('domain and path are rewritten besides', async t => {
  const rules = 'proxy_cookie_domain in.example example.org; proxy_cookie_path /app/ /; proxy_cookie_flags a secure;'
  const cookie = 'a=b=c; Domain=.in.example; Path=/app/x'
  assert.equal(await rewritten(t, rules, cookie), 'a=b=c; Domain=.example.org; Path=/x; Secure')
})

test('a dot in front of either domain is left to the cookie', async t => {
  const rules = 'proxy_cookie_domain .in.example .example.org;'
  assert.equal(await rewritten(t, rules, 'a=1; Domain=.In.example'), 'a=1; Domain=.example.org')
  assert.equal(await rewritten(t, rules, 'a=1; Domain=in.example'), 'a=1; Domain=example.org')
})

test('a pattern for domains has no case', async t => {
  const rules = 'proxy_cookie_domain ~\\.in\\.(\\w+)$ $1.org;'
  assert.equal(await rewritten(t, rules, 'a=1; Domain=.IN.Example'), 'a=1; Domain=Example.org')
})

test('off stands alone', async t => {
  await assert.rejects(rewritten(t, 'proxy_cookie_flags off; proxy_cookie_flags a secure;', ''), /is duplicate/)
  for (const name of ['proxy_cookie_path', 'proxy_cookie_domain']) {
    await assert.rejects(rewritten(t, `${name} off; ${name} /a /b;`, ''), /is duplicate/)
    await assert.rejects(rewritten(t, `${name} /a /b; ${name} off;`, ''), /is duplicate/)
  }
  await assert.rejects(rewritten(t, 'proxy_cookie_flags on;', ''), /invalid parameter "on"/)
})
