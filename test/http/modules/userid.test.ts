import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { eventually, request, serve, type Response, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(
  file,
  `http {
    map $arg_reset $uid_reset { default $arg_reset; }
    userid on;
    add_header X-Got $uid_got;
    add_header X-Set $uid_set;
    server {
      listen 127.0.0.1:%%PORT_0%%;
      location / { return 200; }
      location /named { userid_name me; userid_domain example.org; userid_path /x; userid_expires 1d; userid_p3p 'CP="x"'; userid_flags httponly samesite=lax; return 200; }
      location /max { userid_expires max; userid_mark Z; return 200; }
      location /v1 { userid v1; userid_service 7; return 200; }
      location /log { userid log; return 200; }
      location /off { userid off; return 200; }
    }
  }`,
)

const ask = (path: string, cookie?: string): Promise<Response> =>
  request({ address: server.port, path, headers: cookie === undefined ? {} : { Cookie: cookie } })
const cookieOf = (response: Response): string => /^[^;]*/.exec(response.header('set-cookie') ?? '')![0]

test('userid: a new visitor gets a cookie, the same visitor keeps it', async () => {
  const first = await ask('/')
  const cookie = cookieOf(first)
  assert.match(first.header('set-cookie')!, /^uid=[A-Za-z0-9+/]{22}==; path=\/$/)
  assert.match(first.header('x-set')!, /^uid=0100007F[0-9A-F]{24}$/)
  const again = await ask('/', `other=1; ${cookie}`)
  assert.equal(again.header('set-cookie'), null)
  assert.equal(again.header('x-got'), first.header('x-set'))
  assert.equal((await ask('/log', cookie)).header('x-got'), first.header('x-set'))
  assert.equal((await ask('/off', cookie)).header('x-got'), null)
})

test('userid: no two are the same', async () => {
  const all = new Set(await Promise.all(Array.from({ length: 20 }, async () => cookieOf(await ask('/')))))
  assert.equal(all.size, 20)
})

test('userid: name, domain, path, lifetime, flags and P3P', async () => {
  const response = await ask('/named')
  assert.match(
    response.header('set-cookie')!,
    /^me=[^;]{24}; expires=\w{3}, \d\d-\w{3}-\d\d \d\d:\d\d:\d\d GMT; domain=example\.org; path=\/x; httponly; samesite=lax$/,
  )
  assert.equal(response.header('p3p'), 'CP="x"')
})

test('userid: a mark is added to a cookie without it, and the identifier stays', async () => {
  const cookie = cookieOf(await ask('/'))
  const marked = await ask('/max', cookie)
  assert.equal(cookieOf(marked), `${cookie.slice(0, -2)}Z=`)
  assert.match(marked.header('set-cookie')!, /; expires=Thu, 31-Dec-37 23:55:55 GMT; path=\/$/)
  assert.equal((await ask('/max', cookieOf(marked))).header('set-cookie'), null)
})

test('userid: a reset makes another, and may be logged', async () => {
  const cookie = cookieOf(await ask('/'))
  assert.notEqual(cookieOf(await ask('/?reset=1', cookie)), cookie)
  assert.notEqual(cookieOf(await ask('/?reset=log', cookie)), '')
  await eventually(() => /\[notice\].*userid cookie "uid=[0-9A-F]{32}" was reset/.test(server.errorLog()))
})

test('userid: version 1, and cookies that are none', async () => {
  assert.match((await ask('/v1')).header('x-set')!, /^uid=00000007/)
  assert.notEqual((await ask('/', 'uid=short')).header('set-cookie'), null)
  await eventually(() => /client sent too short userid cookie "uid=short"/.test(server.errorLog()))
})

test('userid: a part of a page knows the identifier of the whole, and makes none', async t => {
  const { port } = await serveHttp(
    t,
    `userid on; userid_flags secure; userid_flags httponly; ssi on; ssi_types *;
     location = /page { return 200 '$uid_set|<!--#include virtual="/part" -->'; }
     location = /part { userid off; return 200 '$uid_set'; }
     location = /plain { userid off; return 200 '<!--#include virtual="/makes" -->'; }
     location = /makes { return 200 '[$uid_set]'; }`,
  )
  const page = await request({ address: port, path: '/page' })
  const [whole, part] = page.text.split('|')
  assert.match(whole!, /^uid=[0-9A-F]{32}$/)
  assert.equal(part, whole)
  assert.match(page.header('set-cookie')!, /; secure; httponly$/)
  const plain = await request({ address: port, path: '/plain' })
  assert.deepEqual([plain.text, plain.header('set-cookie')], ['[]', null])
})
