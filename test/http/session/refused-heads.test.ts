// What is logged of requests whose head goes no further, and of clients that leave before they have sent one.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { eventually, raw, serve, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(
  file,
  `
    error_log error.log info;
    http {
      log_format heads '$status|$request|$request_method|$server_protocol|$request_uri|$uri|$args|$request_length';
      access_log heads.log heads;
      client_header_timeout 2s;
      keepalive_timeout 30s;
      server { listen 127.0.0.1:%%PORT_0%%; server_name first; add_header X-Server first always; return 200 $server_name; }
      server { listen 127.0.0.1:%%PORT_1%%; sub_filter never ever; return 204; }
      server { listen 127.0.0.1:%%PORT_0%%; server_name telling; add_header X-Server telling always; return 204; }
      server { listen 127.0.0.1:%%PORT_0%%; server_name ""; return 200 nameless; }
      server { listen 127.0.0.1:%%PORT_0%%; server_name ~.; return 200 any; }
      server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name body;
        client_body_timeout 100ms;
        location / { proxy_pass http://127.0.0.1:1; }
        location /unwanted { return 200 fine; }
      }
    }`,
)

/** Sends the text and hangs up, or waits for the server to; the log's line about it. */
async function logged(text: string, line: string, leaves = true): Promise<void> {
  const client = await raw(file, server.port)
  await client.send(text)
  if (leaves) client.socket.end()
  await eventually(() => server.file('heads.log').split('\n').includes(line))
}

const said = (text: string): Promise<unknown> => eventually(() => server.file('error.log').includes(text))

test('a line that cannot be read leaves no method, protocol or URI', async () => {
  await logged('GET /a b HTTP/1.1\r\nHost: x\r\n\r\n', '400|GET /a b HTTP/1.1|-|-|-|-|-|0', false)
  await said('client sent invalid request while reading client request line, client: 127.0.0.1, server: first')
})

test('a URI that cannot be is refused by the default server: nobody has read then which host is meant', async () => {
  const client = await raw(file, server.port)
  await client.send('GET /../x HTTP/1.1\r\nHost: telling\r\n\r\n')
  const answer = await client.response()
  assert.deepEqual([answer.status, answer.header('x-server')], [400, 'first'])
  await said(
    'client sent invalid request while reading client request line, client: 127.0.0.1, server: first, request: "GET /../x',
  )
})

test('whose line cannot be read may know no chunks', async () => {
  for (const [line, framing] of [
    ['GET /a b HTTP/1.0', null],
    ['GET /../x HTTP/1.1', 'chunked'],
  ] as const) {
    const client = await raw(file, server.ports[1]!)
    await client.send(`${line}\r\nHost: x\r\n\r\n`)
    const answer = await client.response()
    assert.deepEqual([answer.status, answer.header('transfer-encoding') ?? null], [400, framing])
    assert.match(answer.text, /<center><h1>400 Bad Request<\/h1><\/center>/)
  }
})

test('of a head that is refused later, the URI and its arguments are known', async () => {
  await logged(
    'GET /a%20b?c HTTP/1.1\r\nHost: /\r\n\r\n',
    '400|GET /a%20b?c HTTP/1.1|GET|HTTP/1.1|/a%20b?c|/a b|c|34',
    false,
  )
  await said('client sent invalid host header while reading client request headers')
})

test('a client that leaves within a head is logged with 400', async () => {
  await logged('GE', '400|GE|-|-|-|-|-|0')
  await logged('GET /?x HTTP/1.1\r\nHost', '400|GET /?x HTTP/1.1|GET|HTTP/1.1|/?x|/|x|18')
  await said('client prematurely closed connection while reading client request line')
  await said('client prematurely closed connection while reading client request headers')
})

test('a client that is too slow with its head is logged with 408', async () => {
  await logged('GET /slow HTTP/1.1\r\n', '408|GET /slow HTTP/1.1|GET|HTTP/1.1|/slow|/slow|-|20', false)
  await said('client timed out (110: Connection timed out) while reading client request headers')
})

test('of a client that is too slow with its body, or owes one that nobody wants, the error log has nothing', async () => {
  const body = 'HTTP/1.1\r\nHost: body\r\nContent-Length: 9\r\n\r\nx'
  await logged(`POST /wanted ${body}`, '408|POST /wanted HTTP/1.1|POST|HTTP/1.1|/wanted|/wanted|-|57', false)
  const leaving = await raw(file, server.port)
  await leaving.send(`POST /unwanted ${body}`)
  await leaving.response()
  leaving.socket.end()
  await eventually(() => /^200\|POST \/unwanted/m.test(server.file('heads.log')))
  assert.doesNotMatch(server.file('error.log'), /client (?:timed out|prematurely).* request: "POST/)
})

test('a client that leaves between requests is told of', async () => {
  const silent = await raw(file, server.port)
  silent.socket.end()
  await said('client closed connection while waiting for request, client: 127.0.0.1')
  const kept = await raw(file, server.port)
  await kept.request()
  kept.socket.end()
  await said('client 127.0.0.1 closed keepalive connection')
})

test('HTTP/1.0 without a host reaches the server named "", which no pattern stands for', async () => {
  const client = await raw(file, server.port)
  await client.send('GET / HTTP/1.0\r\n\r\n')
  assert.equal((await client.response()).text, 'nameless')
})

test('a referrer is told in the error log', async () => {
  const client = await raw(file, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: /\r\nReferer: http://r/\r\n\r\n')
  await said('host: "/", referrer: "http://r/"')
})

test('a pipelined request is no part of the length of the one before', async () => {
  const client = await raw(file, server.port)
  await client.send('GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /22 HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(() => {
    const lines = server.file('heads.log').split('\n')
    return (
      lines.includes('200|GET /1 HTTP/1.1|GET|HTTP/1.1|/1|/1|-|28') &&
      lines.includes('200|GET /22 HTTP/1.1|GET|HTTP/1.1|/22|/22|-|29')
    )
  })
})

test('fields that are left out for their names are told of, one by one', async () => {
  const client = await raw(file, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: x\r\nA_B: 1\r\nC: 2\r\nD(: 3\r\n\r\n')
  assert.equal((await client.response()).status, 200)
  await said('client sent invalid header line: "A_B: 1" while reading client request headers, client: 127.0.0.1')
  await said('client sent invalid header line: "D(: 3" while reading client request headers, client: 127.0.0.1')
})

test('empty lines before a request are no part of it', async () => {
  await logged(
    '\r\n\r\nGET /after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    '200|GET /after HTTP/1.1|GET|HTTP/1.1|/after|/after|-|51',
    false,
  )
})

test('a line that came behind a request is told to be pipelined', async () => {
  const client = await raw(file, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n')
  await said('client sent invalid method while reading client pipelined request line')
})
