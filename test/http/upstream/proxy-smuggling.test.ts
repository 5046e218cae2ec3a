// Nobody may read the same bytes in two ways. Each row is what a client sends, byte for byte, what the back end then gets,
// byte for byte, and what the client is answered; sent whole and one byte at a time. proxy-answers.test.ts is the other half.

import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { origin, raw } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import { MessageReader } from '../../helpers/message.ts'
import { atEnd } from '../../helpers/scope.ts'
import type { Scope } from '../../helpers/scope.ts'

/** A back end that keeps every byte and answers every request it can make out. */
async function recorder(t: Scope): Promise<{ port: number; seen(): string; forget(): void }> {
  const connections: Buffer[][] = []
  const sockets = new Set<net.Socket>()
  const server = net.createServer(socket => {
    const bytes: Buffer[] = []
    connections.push(bytes)
    sockets.add(socket)
    let reader = new MessageReader('request')
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      bytes.push(chunk)
      for (let rest: Buffer = chunk; rest.length > 0;) {
        rest = Buffer.from(reader.feed(rest))
        if (!reader.done) break
        reader = new MessageReader('request')
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    port: (server.address() as net.AddressInfo).port,
    seen: () => connections.map(bytes => Buffer.concat(bytes).toString('latin1')).join('|'),
    forget() {
      for (const bytes of connections) bytes.length = 0
      for (const socket of sockets) socket.destroy()
      connections.length = 0
    },
  }
}

const LAST = 'GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'
const SEEN_LAST = 'GET /last HTTP/1.1\r\nHost: b\r\n\r\n'

interface Row {
  readonly what: string
  readonly sent: string
  /** `|` stands between connections; LAST follows where the client's connection goes on. */
  readonly seen: string
  /** Of the answers, in their order; `200` of LAST included where it is answered. */
  readonly statuses: readonly number[]
}

/** Refused: the connection ends, and nothing that follows is looked at. */
function refused(what: string, sent: string, status = 400): Row {
  return { what, sent, seen: '', statuses: [status] }
}

/** Understood, and what follows is a request of its own. */
function taken(what: string, sent: string, seen: string): Row {
  return { what, sent, seen, statuses: [200, 200] }
}

const post = (fields: string, body: string): string => `POST /p HTTP/1.1\r\nHost: h\r\n${fields}\r\n${body}`
const seenPost = (body: string, fields = ''): string =>
  `POST /p HTTP/1.1\r\nHost: b\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`
const get = (fields: string, target = '/g', version = '1.1'): string =>
  `GET ${target} HTTP/${version}\r\nHost: h\r\n${fields}\r\n`
const seenGet = (fields = '', target = '/g'): string => `GET ${target} HTTP/1.1\r\nHost: b\r\n${fields}\r\n`
const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n'

const requests: readonly Row[] = [
  // Lengths.
  taken('Content-Length', post('Content-Length: 3\r\n', 'abc'), seenPost('abc')),
  taken('zeros in front', post('Content-Length: 0003\r\n', 'abc'), seenPost('abc')),
  refused('a list of lengths', post('Content-Length: 3, 3\r\n', 'abc')),
  refused('two lengths', post('Content-Length: 3\r\nContent-Length: 4\r\n', 'abcd')),
  refused('the same length twice', post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc')),
  refused('a signed length', post('Content-Length: +3\r\n', 'abc')),
  refused('a negative length', post('Content-Length: -1\r\n', '')),
  refused('a hexadecimal length', post('Content-Length: 0x3\r\n', 'abc')),
  refused('an empty length', post('Content-Length: \r\n', 'abc')),
  refused('a length with a space in it', post('Content-Length: 1 0\r\n', '0123456789')),
  refused('a length beyond all numbers', post('Content-Length: 99999999999999999999\r\n', 'abc')),
  refused('an underscored length', post('Content_Length: 3\r\n', 'abc')),
  refused('a space before the colon', post('Content-Length : 3\r\n', 'abc')),
  refused('a tab before the colon', post('Content-Length\t: 3\r\n', 'abc')),
  refused('a space before the name', post(' Content-Length: 3\r\n', 'abc')),
  refused('a folded length', post('Content-Length:\r\n 3\r\n', 'abc')),
  refused('a fold behind a field', get('X: 1\r\n 2\r\n')),
  refused('a NUL in a value', get('X: a\0b\r\n')),
  refused('a NUL in a name', get('X\0Y: a\r\n')),
  refused('a lone CR in a value', get('X: a\rContent-Length: 5\r\n')),
  refused('a line without a colon', get('Content-Length\r\n')),
  // Codings.
  taken('a chunked body', post(CHUNKED, '3\r\nabc\r\n0\r\n\r\n'), seenPost('abc')),
  taken('CHUNKED', post('Transfer-Encoding: CHUNKED\r\n', '3\r\nabc\r\n0\r\n\r\n'), seenPost('abc')),
  taken('space around the coding', post('Transfer-Encoding:  \tchunked \t\r\n', '0\r\n\r\n'), seenPost('')),
  refused('both, the length first', post(`Content-Length: 3\r\n${CHUNKED}`, '0\r\n\r\n')),
  refused('both, the coding first', post(`${CHUNKED}Content-Length: 3\r\n`, '0\r\n\r\n')),
  refused('both, the length 0', post(`${CHUNKED}Content-Length: 0\r\n`, `0\r\n\r\n${SMUGGLED}`)),
  refused('chunked twice', post(CHUNKED + CHUNKED, '0\r\n\r\n')),
  refused('chunked and identity', post(`${CHUNKED}Transfer-Encoding: identity\r\n`, '0\r\n\r\n')),
  refused('a list of codings', post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), 501),
  refused('chunked, chunked', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n'), 501),
  refused('an unknown coding', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'), 501),
  refused('identity', post('Transfer-Encoding: identity\r\nContent-Length: 3\r\n', 'abc'), 501),
  refused('a quoted coding', post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n'), 501),
  refused('a parameter', post('Transfer-Encoding: chunked;q=1\r\n', '0\r\n\r\n'), 501),
  refused('a vertical tab before the coding', post('Transfer-Encoding: \vchunked\r\n', '0\r\n\r\n')),
  refused('a high byte behind it', post('Transfer-Encoding: chunked\x85\r\n', '0\r\n\r\n'), 501),
  refused('a space before the colon', post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n')),
  refused('a folded coding', post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n')),
  refused('an empty coding', post('Transfer-Encoding:\r\n', '0\r\n\r\n'), 501),
  refused('a coding in HTTP/1.0', `POST /p HTTP/1.0\r\nHost: h\r\n${CHUNKED}\r\n0\r\n\r\n`),
  refused('an underscored coding', get('Transfer_Encoding: chunked\r\n')),
  refused('a coding’s name with a quote in it', get("Transfer'Encoding: chunked\r\n")),
  taken('other odd names are dropped', get("X_Y: a\r\nX'Y: b\r\n"), seenGet()),
  // Chunks.
  taken('extensions', post(CHUNKED, '3;a=b;c="d"\r\nabc\r\n0;x\r\n\r\n'), seenPost('abc')),
  taken('trailers', post(CHUNKED, '3\r\nabc\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n'), seenPost('abc')),
  taken('zeros in front of a size', post(CHUNKED, '0003\r\nabc\r\n000\r\n\r\n'), seenPost('abc')),
  taken('capital digits', post(CHUNKED, 'A\r\n0123456789\r\n0\r\n\r\n'), seenPost('0123456789')),
  refused('a lone LF behind a size', post(CHUNKED, '3\nabc\r\n0\r\n\r\n')),
  refused('a lone LF behind the data', post(CHUNKED, '3\r\nabc\n0\r\n\r\n')),
  refused('a lone LF in an extension', post(CHUNKED, `3;a\nxx\r\nabc\r\n0\r\n\r\n`)),
  refused('a lone CR in an extension', post(CHUNKED, `3;a\rxx\r\nabc\r\n0\r\n\r\n`)),
  refused('a lone LF at the end', post(CHUNKED, '3\r\nabc\r\n0\r\n\n')),
  refused('no size', post(CHUNKED, '\r\nabc\r\n0\r\n\r\n')),
  refused('0x', post(CHUNKED, '0x3\r\nabc\r\n0\r\n\r\n')),
  refused('a sign', post(CHUNKED, '-1\r\nabc\r\n0\r\n\r\n')),
  refused('a space in front', post(CHUNKED, ' 3\r\nabc\r\n0\r\n\r\n')),
  refused('a space behind', post(CHUNKED, '3 \r\nabc\r\n0\r\n\r\n')),
  refused('an underscore', post(CHUNKED, '1_0\r\n0123456789012345\r\n0\r\n\r\n')),
  refused('data longer than its size', post(CHUNKED, '3\r\nabcd\r\n0\r\n\r\n')),
  refused('data shorter than its size', post(CHUNKED, '5\r\nabc\r\n0\r\n\r\n')),
  refused('a size that wraps round', post(CHUNKED, 'ffffffffffffffff0\r\nabc\r\n0\r\n\r\n')),
  refused('a trailer that is folded', post(CHUNKED, '0\r\nX: y\r\n z\r\n\r\n')),
  refused('a trailer with a lone LF', post(CHUNKED, '0\r\nX: y\nZ: z\r\n\r\n')),
  // Bodies of requests that have none as a rule.
  taken('a GET with a body', get('Content-Length: 3\r\n') + 'abc', seenGet('Content-Length: 3\r\n') + 'abc'),
  taken('a GET without one, then another', get(''), seenGet()),
  taken(
    'a DELETE, chunked',
    `DELETE /d HTTP/1.1\r\nHost: h\r\n${CHUNKED}\r\n1\r\na\r\n0\r\n\r\n`,
    'DELETE /d HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\n\r\na',
  ),
  taken(
    'a body that looks like a request',
    post(`Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED),
    seenPost(SMUGGLED),
  ),
  taken(
    'a chunk that looks like one',
    post(CHUNKED, `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`),
    seenPost(SMUGGLED),
  ),
  // Lines.
  taken('lone LFs in a head', 'GET /g HTTP/1.1\nHost: h\nX: y\n\n', seenGet('X: y\r\n')),
  taken('empty lines in front', `\r\n\r\n${get('')}`, seenGet()),
  refused('a space in front of the request', ` ${get('')}`),
  refused('a request line with a tab', 'GET\t/g\tHTTP/1.1\r\nHost: h\r\n\r\n'),
  refused('a target with a space', get('', '/g HTTP/1.1 x')),
  refused('HTTP/2.0', get('', '/g', '2.0'), 505),
  refused('HTTP/1.1x', get('', '/g', '1.1x')),
  refused('lower case http', 'GET /g http/1.1\r\nHost: h\r\n\r\n'),
  taken('HTTP/1.9 is 1.1 to us and to those behind', get('', '/g', '1.9'), seenGet()),
  refused('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400),
  // Hosts.
  refused('no Host', 'GET /g HTTP/1.1\r\n\r\n'),
  refused('two Hosts', 'GET /g HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n'),
  refused('an empty host and port', 'GET /g HTTP/1.1\r\nHost: :80:90\r\n\r\n'),
  refused('a Host with a path', 'GET /g HTTP/1.1\r\nHost: h/evil\r\n\r\n'),
  refused('a Host with a space', 'GET /g HTTP/1.1\r\nHost: h evil\r\n\r\n'),
  taken('an absolute target counts more than Host', get('', 'http://other/g'), seenGet()),
  taken('an absolute target without a path', get('', 'http://other'), seenGet('', '/')),
  taken('an absolute target with a query alone', get('', 'http://other?a'), seenGet('', '/?a')),
  refused('an absolute target without a host', get('', 'http:///g')),
  refused('an absolute target with a user', get('', 'http://user@other/g')),
  // What ends here.
  taken(
    'fields that Connection names end here',
    get('Connection: keep-alive, X-A, x-b\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n'),
    seenGet('X-C: 3\r\n'),
  ),
  taken('in two Connection fields', get('Connection: x-a\r\nConnection: X-B\r\nX-A: 1\r\nX-B: 2\r\n'), seenGet()),
  taken(
    'Connection cannot take the length away',
    post('Connection: Content-Length\r\nContent-Length: 3\r\n', 'abc'),
    seenPost('abc'),
  ),
  taken(
    'nor the coding',
    post(`Connection: Transfer-Encoding\r\n${CHUNKED}`, '3\r\nabc\r\n0\r\n\r\n'),
    seenPost('abc'),
  ),
  taken('nor the host', get('Connection: Host\r\n'), seenGet()),
  taken(
    'hop-by-hop fields',
    get('TE: trailers\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\n'),
    seenGet(),
  ),
  taken('Expect is ours to meet', post('Expect: 100-continue\r\nContent-Length: 3\r\n', 'abc'), seenPost('abc')),
  taken('underscores are dropped', get('X_Real_IP: 1\r\nX-Real-Ip: 2\r\n'), seenGet('X-Real-Ip: 2\r\n')),
  // HTTP/1.0 and before.
  { what: 'HTTP/1.0 closes', sent: 'GET /g HTTP/1.0\r\n\r\n', seen: seenGet(), statuses: [200] },
  {
    what: 'HTTP/1.0 kept open',
    sent: 'GET /g HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    seen: seenGet(),
    statuses: [200, 200],
  },
  {
    what: 'HTTP/1.0 with a body',
    sent: 'POST /p HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc',
    seen: seenPost('abc'),
    statuses: [200],
  },
  { what: 'a close is a close', sent: get('Connection: close\r\n'), seen: seenGet(), statuses: [200] },
  // Upgrades that are not one, and methods that are nobody's.
  taken(
    'Upgrade with a body',
    post('Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 3\r\n', 'abc'),
    seenPost('abc'),
  ),
  refused('CONNECT', 'CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n', 405),
  refused('CONNECT with a path', 'CONNECT /g HTTP/1.1\r\nHost: h\r\n\r\n'),
  refused('TRACE', 'TRACE /g HTTP/1.1\r\nHost: h\r\n\r\n', 405),
  refused('a method in lower case', 'get /g HTTP/1.1\r\nHost: h\r\n\r\n'),
]

function statusesOf(received: string): number[] {
  const statuses: number[] = []
  let bytes: Buffer = Buffer.from(received, 'latin1')
  while (bytes.length > 0) {
    const reader = new MessageReader('response')
    bytes = Buffer.from(reader.feed(bytes))
    if (!reader.done) reader.end()
    const { status } = reader.response()
    if (status >= 200) statuses.push(status)
  }
  return statuses
}

for (const arrival of ['whole', 'byte by byte'] as const) {
  test(`requests that two readers could understand differently are read in one way, ${arrival}`, async t => {
    const back = await recorder(t)
    const server = await serveHttp(
      t,
      'location / { proxy_pass http://back; proxy_set_header Host b; }',
      `upstream back { server 127.0.0.1:${back.port}; }`,
    )
    for (const row of requests) {
      await t.test(row.what, async t => {
        back.forget()
        const client = await raw(t, server.port)
        client.socket.on('error', () => {})
        const sent = row.sent + LAST
        if (arrival === 'whole') await client.send(sent)
        else {
          for (const byte of sent) {
            // A refusal may close the connection before the last byte has gone.
            if (client.ended) break
            client.socket.write(byte, 'latin1')
            await new Promise(setImmediate)
          }
        }
        const received = await client.closed()
        assert.deepEqual(statusesOf(received), row.statuses)
        const goesOn = row.statuses.length === 2 && row.statuses[1] === 200
        assert.equal(back.seen(), row.seen + (goesOn ? SEEN_LAST : ''))
      })
    }
  })
}

test('what a client pipelines behind an Upgrade that is refused is read as requests, and nobody else gets it', async t => {
  const back = await recorder(t)
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://back; proxy_set_header Host b;
       proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }`,
    `upstream back { server 127.0.0.1:${back.port}; }`,
  )
  const client = await raw(t, server.port)
  await client.send(`${get('Upgrade: websocket\r\nConnection: Upgrade\r\n')}${LAST}`)
  assert.deepEqual(statusesOf(await client.closed()), [200, 200])
  assert.equal(
    back.seen(),
    seenGet('Upgrade: websocket\r\nConnection: upgrade\r\n') +
      'GET /last HTTP/1.1\r\nHost: b\r\nConnection: upgrade\r\n\r\n',
  )
})

test('an upgrade to HTTP/2 would lead past us: it is not asked for, and one that comes all the same is refused', async t => {
  const back = await origin(t, () => 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n')
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${back.path};
       proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }`,
  )
  for (const name of ['h2c', 'H2C', 'websocket, h2c', 'h2c/2', 'h2']) {
    const client = await raw(t, server.port)
    await client.send(
      get(`Upgrade: ${name}\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n`),
    )
    assert.equal((await client.response()).status, 502)
    const { head } = back.requests.at(-1)!
    assert.doesNotMatch(head, /h2|settings/i)
  }
})

test('proxy_set_header cannot make a length that is not the body’s', async t => {
  const back = await recorder(t)
  const to = `proxy_pass http://127.0.0.1:${back.port}; proxy_set_header Host b;`
  const server = await serveHttp(
    t,
    `location /none { ${to} proxy_set_header Content-Length ""; }
     location /wrong { ${to} proxy_set_header Content-Length 99; }
     location /coding { ${to} proxy_set_header Transfer-Encoding chunked; }
     location /own { ${to} proxy_set_header Content-Length ""; proxy_set_body hello; }`,
  )
  const cases = [
    ['/none', 'POST /none HTTP/1.1\r\nHost: b\r\n\r\n'],
    ['/wrong', 'POST /wrong HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc'],
    ['/coding', 'POST /coding HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc'],
    ['/own', 'POST /own HTTP/1.1\r\nHost: b\r\n\r\n'],
  ] as const
  for (const [path, seen] of cases) {
    back.forget()
    const client = await raw(t, server.port)
    await client.send(`POST ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc`)
    assert.match(await client.closed(), /^HTTP\/1\.1 200 /)
    assert.equal(back.seen(), seen)
  }
})

test('trailers of a request go on where proxy_pass_trailers says so, but for those that could change what it means', async t => {
  const back = await recorder(t)
  const to = `proxy_pass http://127.0.0.1:${back.port}; proxy_set_header Host b; proxy_request_buffering off;`
  const server = await serveHttp(
    t,
    `location /on { ${to} proxy_pass_trailers on; proxy_set_header X-Ours 1; } location /off { ${to} }`,
  )
  const cases = [
    ['/on', `X-Ours: 1\r\n${CHUNKED}\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n`],
    // All of the body has come with the head: its length is known.
    ['/off', 'Content-Length: 3\r\n\r\nabc'],
  ] as const
  for (const [path, rest] of cases) {
    back.forget()
    const client = await raw(t, server.port)
    const trailing = 'X-Sum: 1\r\nContent-Length: 5\r\nHost: evil\r\nAuthorization: x\r\nX-Ours: 2\r\nX_Y: z\r\n'
    await client.send(
      `POST ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${CHUNKED}\r\n3\r\nabc\r\n0\r\n${trailing}\r\n`,
    )
    assert.match(await client.closed(), /^HTTP\/1\.1 200 /)
    assert.equal(back.seen(), `POST ${path} HTTP/1.1\r\nHost: b\r\n${rest}`)
  }
})
