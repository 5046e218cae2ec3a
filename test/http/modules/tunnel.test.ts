import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { eventually, get, origin, raw, reply } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import { atEnd } from '../../helpers/scope.ts'

/** Says what it hears in capitals, and what is left to say when it hears the end. */
async function shouter(t: test.TestContext): Promise<{ port: number; open: Set<net.Socket> }> {
  const open = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    socket.on('data', bytes => socket.write(bytes.toString('latin1').toUpperCase(), 'latin1'))
    socket.on('end', () => socket.end('BYE'))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { port: (server.address() as net.AddressInfo).port, open }
}

test('CONNECT: bytes pass both ways, early ones too, and an end on one side leaves the other open', async t => {
  const { port } = await shouter(t)
  const server = await serveHttp(t, 'tunnel_pass;')
  const client = await raw(t, server.port)
  await client.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\nearly`)
  const head = await client.until('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/)
  assert.doesNotMatch(head, /content-length|transfer-encoding|content-type/i)
  assert.match(head, /Connection: close\r\n/)
  await client.until('EARLY')
  await client.send('then')
  await client.until('THEN')
  client.end()
  assert.equal(await client.closed(), 'BYE')
})

test('CONNECT through a group, with a location’s error page when nobody is there', async t => {
  const { port } = await shouter(t)
  const server = await serveHttp(
    t,
    `location / { tunnel_pass to; }
     location = /gone.html { return 502 gone; }
     error_page 502 /gone.html;`,
    `upstream to { server 127.0.0.1:1; server 127.0.0.1:${port}; } upstream none { server 127.0.0.1:1; }`,
  )
  const client = await raw(t, server.port)
  await client.send('CONNECT anything:80 HTTP/1.1\r\nHost: x\r\n\r\nhello')
  await client.until('HELLO')
  const nowhere = await serveHttp(t, 'tunnel_pass none;', 'upstream none { server 127.0.0.1:1; }')
  const other = await raw(t, nowhere.port)
  await other.send('CONNECT anything:80 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const received = await other.closed()
  assert.match(received, /^HTTP\/1\.1 502 /)
  // What was meant for the tunnel is no request.
  assert.equal(received.match(/HTTP\/1\.1/g)!.length, 1)
})

test('CONNECT is for servers that tunnel, and there nothing else is', async t => {
  const up = await origin(t, reply())
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; }`)
  const client = await raw(t, server.port)
  await client.send('CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n')
  assert.match(await client.closed(), /^HTTP\/1\.1 405 /)
  assert.equal(up.requests.length, 0)
  const tunnels = await serveHttp(t, 'tunnel_pass;')
  assert.equal((await get(tunnels.port)).status, 405)
  const body = await raw(t, tunnels.port)
  await body.send('CONNECT h:80 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello')
  assert.match(await body.closed(), /^HTTP\/1\.1 400 /)
})

test('an idle tunnel ends after tunnel_read_timeout, and one whose client is gone at once', async t => {
  const { port, open } = await shouter(t)
  const server = await serveHttp(t, 'tunnel_pass; tunnel_read_timeout 1s;')
  const client = await raw(t, server.port)
  await client.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await client.until('\r\n\r\n')
  await client.closed()
  await eventually(() => /\[info\].* upstream timed out .* while proxying upgraded connection/.test(server.errorLog()))
  const other = await raw(t, server.port)
  await other.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\nx`)
  await other.until('X')
  other.reset()
  await eventually(() => open.size === 0)
  const reset = /\[info\].* recv\(\) failed \(104: Connection reset by peer\) while proxying upgraded connection/
  await eventually(() => reset.test(server.errorLog()))
})

test('a tunnel has no upstream status, and a target that is none is the client’s fault', async t => {
  const { port, open } = await shouter(t)
  const server = await serveHttp(t, 'tunnel_pass $http_to; add_header X-Status "<$upstream_status>" always;')
  const client = await raw(t, server.port)
  await client.send(`CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTo: 127.0.0.1:${port}\r\n\r\n`)
  assert.match(await client.until('\r\n\r\n'), /\r\nX-Status: <->\r\n/)
  const other = await raw(t, server.port)
  await other.send('CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTo: 127.0.0.1:99999\r\n\r\n')
  assert.match(await other.closed(), /^HTTP\/1\.1 500 /)
  await eventually(() => /\[info\].* invalid port in upstream "127\.0\.0\.1:99999"/.test(server.errorLog()))
  for (const socket of open) socket.resetAndDestroy()
  await client.closed()
  const lost = /\[error\].* recv\(\) failed \(104: Connection reset by peer\) while proxying upgraded connection/
  await eventually(() => lost.test(server.errorLog()))
})
