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
      server { listen 127.0.0.1:%%PORT_0%%; server_name first; return 200 $server_name; }
      server { listen 127.0.0.1:%%PORT_0%%; server_name ""; return 200 nameless; }
      server { listen 127.0.0.1:%%PORT_0%%; server_name ~.; return 200 any; }
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
  await logged('GET /a b HTTP/1.1\r\nHost: x\r\n\r\n', '400|GET /a b HTTP/1.1|GET|-|-|-|-|0', false)
  await said('client sent invalid request while reading client request line, client: 127.0.0.1, server: first')
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
