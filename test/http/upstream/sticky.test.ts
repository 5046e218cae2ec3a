// `sticky`: requests that belong together go to the same peer, by cookie, by route and by what was learnt.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, origin, raw, reply, request } from '../../helpers/index.ts'
import type { Origin, Scope } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import type { HttpServer } from '../../helpers/http.ts'

async function origins(t: Scope): Promise<Origin[]> {
  return [await origin(t, reply('a')), await origin(t, reply('b'))]
}

function serveGroup(
  t: Scope,
  all: readonly Origin[],
  parameters: readonly string[],
  sticky: string,
): Promise<HttpServer> {
  const servers = all.map((one, i) => `server ${one.path} ${parameters[i] ?? ''};`).join('\n')
  return serveHttp(
    t,
    'location / { proxy_pass http://u; proxy_next_upstream error timeout http_500; add_header X-Queue "$upstream_queue_time"; }',
    `upstream u { ${servers} ${sticky} }`,
  )
}

test('a cookie binds a client to the peer it had, with all its attributes', async t => {
  const all = await origins(t)
  const server = await serveGroup(
    t,
    all,
    [],
    'sticky cookie id expires=1h domain=$arg_domain path=/p httponly secure samesite=$arg_site;',
  )
  const first = await request({ address: server.port, path: '/?domain=.example&site=bad' })
  const cookie = first.header('set-cookie')!
  assert.match(
    cookie,
    /^id=[0-9a-f]{32}; expires=\w{3}, \d\d-\w{3}-\d\d \d\d:\d\d:\d\d GMT; max-age=3600; domain=\.example; httponly; secure; samesite=strict; path=\/p$/,
  )
  for (let i = 0; i < 5; i++) {
    const answer = await request({ address: server.port, headers: { Cookie: cookie.split(';')[0]! } })
    assert.equal(answer.text, first.text)
  }
  const plain = await request({ address: server.port, headers: { Cookie: 'id=unknown' } })
  assert.doesNotMatch(plain.header('set-cookie')!, /domain|samesite/)
})

test('when the bound peer fails, the cookie is that of the peer that answered', async t => {
  const bad = await origin(t, reply('bad', {}, '500 Internal Server Error'))
  const good = await origin(t, reply('good'))
  const server = await serveGroup(t, [bad, good], ['route=bad', 'route=good'], 'sticky cookie id;')
  const answer = await request({ address: server.port, headers: { Cookie: 'id=bad' } })
  assert.equal(answer.text, 'good')
  assert.equal(answer.header('set-cookie'), 'id=good')
})

test('a route is taken from the first variable that has one; a peer that drains serves only its own', async t => {
  const all = await origins(t)
  const server = await serveGroup(t, all, ['route=one drain', 'route=two'], 'sticky route $cookie_r $arg_r;')
  const text = async (path: string, headers: Record<string, string> = {}): Promise<string> =>
    (await request({ address: server.port, path, headers })).text
  for (let i = 0; i < 3; i++) {
    assert.equal(await text('/?r=one'), 'a')
    assert.equal(await text('/?r=one', { Cookie: 'r=two' }), 'b')
    assert.equal(await text('/'), 'b')
    assert.equal(await text('/?r=none'), 'b')
  }
})

/** Two servers that begin sessions, and requests with a session's cookie. */
async function learning(t: Scope, timeout: string): Promise<(cookie: string) => Promise<string>> {
  const all = [
    await origin(t, reply('a', { 'Set-Cookie': 'sess=from-a' })),
    await origin(t, reply('b', { 'Set-Cookie': 'sess=from-b' })),
  ]
  const server = await serveGroup(
    t,
    all,
    [],
    `sticky learn create=$upstream_cookie_sess lookup=$cookie_sess zone=s:64k timeout=${timeout};`,
  )
  return async cookie => (await request({ address: server.port, headers: { Cookie: `sess=${cookie}` } })).text
}

test('a session is learnt when a peer begins it', async t => {
  const text = await learning(t, '1m')
  assert.deepEqual(await Promise.all([text('x'), text('x')]).then(texts => texts.sort()), ['a', 'b'])
  for (let i = 0; i < 3; i++) {
    assert.equal(await text('from-b'), 'b')
    assert.equal(await text('from-a'), 'a')
  }
})

test('a session that nobody has asked for in its time is forgotten', async t => {
  const text = await learning(t, '50ms')
  assert.deepEqual(await Promise.all([text('x'), text('x')]).then(texts => texts.sort()), ['a', 'b'])
  await eventually(async () => {
    await new Promise(resolve => setTimeout(resolve, 150))
    return (await text('from-b')) === 'a'
  })
})

test('`header` learns before the body is through', async t => {
  const slow = await origin(t, (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\nSet-Cookie: sess=s\r\n\r\nslow')
  })
  const other = await origin(t, reply('other'))
  const server = await serveGroup(
    t,
    [slow, other],
    [],
    'sticky learn create=$upstream_cookie_sess lookup=$cookie_sess zone=s:64k header;',
  )
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  await client.until('slow')
  const bound = await raw(t, server.port)
  await bound.send('GET / HTTP/1.1\r\nHost: h\r\nCookie: sess=s\r\n\r\n')
  await bound.until('slow')
  assert.equal(slow.requests.length, 2)
})

test('a method that is written behind it takes its place', async t => {
  const all = await origins(t)
  const own = ['route=a', 'route=b']
  const bound = await serveGroup(t, all, own, 'least_conn; sticky route $arg_a;')
  const unbound = await serveGroup(t, all, own, 'sticky route $arg_a; least_conn;')
  const answers = async ({ port }: HttpServer): Promise<string> => {
    let texts = ''
    for (let i = 0; i < 4; i++) texts += (await request({ address: port, path: '/?a=b' })).text
    return texts
  }
  assert.equal(await answers(bound), 'bbbb')
  assert.match(await answers(unbound), /^(?:ab|ba){2}$/)
})

test('what cannot be meant is refused in nginx words', async t => {
  const refused: Readonly<Record<string, RegExp>> = {
    'sticky cookie "";': /empty cookie name/,
    'sticky cookie a path=/ path=/;': /parameter "path" is duplicate/,
    'sticky cookie a domain=;': /no value for "domain"/,
    'sticky cookie a samesite=x;': /invalid "samesite" parameter value/,
    'sticky cookie a expires=x;': /invalid "expires" parameter value/,
    'sticky cookie a foo;': /unknown parameter "foo"/,
    'sticky route a;': /invalid variable name "a"/,
    'sticky what a;': /unknown parameter "what"/,
    'sticky learn create=$a;': /"lookup" parameter is not specified/,
    'sticky learn lookup=$arg_a;': /"create" parameter is not specified/,
    'sticky learn lookup=$arg_a create=$arg_a;': /"zone" parameter is not specified/,
    'sticky learn lookup=$arg_a create=$arg_a zone=z;': /zone size is not specified/,
    'sticky learn lookup=$arg_a create=$arg_a zone=z:1k;': /zone is too small/,
    'sticky learn lookup=$arg_a create=a;': /missing variable in the "create" parameter/,
    'sticky route $arg_a; sticky route $arg_b;': /"sticky" directive is duplicate/,
  }
  for (const [sticky, problem] of Object.entries(refused)) {
    await assert.rejects(serveHttp(t, '', `upstream u { server 127.0.0.1:1; ${sticky} }`), { message: problem }, sticky)
  }
})
