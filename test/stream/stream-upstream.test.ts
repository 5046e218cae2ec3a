// What a stream server says to its upstreams before anything else, and when it takes one for healthy again.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import { certificate } from '../helpers/certificates.ts'
import { eventually } from '../helpers/eventually.ts'
import { atEnd, serve, tempDir } from '../helpers/index.ts'

/** The first bytes that a connection brings. */
async function greeting(port: number): Promise<{ text: string; socket: net.Socket }> {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  return { text: bytes.toString(), socket }
}

test('the PROXY protocol stands before TLS', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const context = { cert: readFileSync(join(dir, 'a.crt')), key: readFileSync(join(dir, 'a.key')) }
  const upstream = net.createServer(socket => {
    socket.once('data', (bytes: Buffer) => {
      const end = bytes.indexOf('\n') + 1
      const line = bytes.toString('latin1', 0, end)
      // What flows would be read by nobody before TLS is there.
      socket.pause()
      if (end < bytes.length) socket.unshift(bytes.subarray(end))
      const secure = new tls.TLSSocket(socket, { isServer: true, ...context })
      secure.on('error', () => {})
      secure.on('secure', () => secure.end(`told: ${line}`))
    })
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  atEnd(t, () => void upstream.close())
  const { port } = upstream.address() as net.AddressInfo
  const { ports } = await serve(t, {
    dir,
    conf: `stream { server { listen 127.0.0.1:%%PORT_0%%; proxy_pass 127.0.0.1:${port}; proxy_ssl on; proxy_protocol on; } }`,
  })
  const { text, socket } = await greeting(ports[0]!)
  socket.destroy()
  assert.match(text, new RegExp(`^told: PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${ports[0]}\r\n$`))
})

test('the certificate shown to an upstream may be named by variables', async t => {
  const dir = tempDir(t)
  for (const name of ['a', 'one', 'two']) certificate(dir, name, { ec: true })
  const { ports } = await serve(t, {
    dir,
    conf: `stream {
      map $server_port $name { %%PORT_1%% one; %%PORT_2%% two; default ""; }
      proxy_ssl on; proxy_ssl_session_reuse off; proxy_ssl_certificate $name.crt; proxy_ssl_certificate_key $name.key;
      server { listen 127.0.0.1:%%PORT_0%% ssl; ssl_certificate a.crt; ssl_certificate_key a.key;
        ssl_verify_client optional_no_ca; return "$ssl_client_s_dn"; }
      server { listen 127.0.0.1:%%PORT_1%%; listen 127.0.0.1:%%PORT_2%%; listen 127.0.0.1:%%PORT_3%%; proxy_pass 127.0.0.1:%%PORT_0%%; }
    }`,
  })
  for (const [i, name] of [
    [1, 'one'],
    [2, 'two'],
  ] as const) {
    const { text, socket } = await greeting(ports[i]!)
    socket.destroy()
    assert.equal(text, `CN=${name}`)
  }
  // What is not there cannot be shown.
  const socket = net.connect(ports[3]!, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'close')
})

test('an upstream that accepts again is healthy while its first session lasts', async t => {
  const { ports } = await serve(t, {
    conf: `stream {
      upstream both { server 127.0.0.1:%%PORT_1%% fail_timeout=1s; server 127.0.0.1:%%PORT_2%% backup; }
      server { listen 127.0.0.1:%%PORT_0%%; proxy_pass both; }
    }`,
  })
  const names = new Map([
    [ports[1]!, 'first'],
    [ports[2]!, 'backup'],
  ])
  const begin = async (port: number): Promise<void> => {
    const sockets = new Set<net.Socket>()
    const server = net.createServer(socket => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.write(names.get(port)!)
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    atEnd(t, () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
  }
  await begin(ports[2]!)
  const failed = await greeting(ports[0]!)
  failed.socket.destroy()
  assert.equal(failed.text, 'backup')
  await begin(ports[1]!)
  const lasting = await eventually(async () => {
    const one = await greeting(ports[0]!)
    if (one.text === 'first') return one
    one.socket.destroy()
    return null
  })
  atEnd(t, () => void lasting!.socket.destroy())
  for (let i = 0; i < 3; i++) {
    const next = await greeting(ports[0]!)
    next.socket.destroy()
    assert.equal(next.text, 'first')
  }
})

test('a server name with a point before it is told without', async t => {
  const { ports } = await serve(t, {
    conf: `http { server { listen 127.0.0.1:%%PORT_0%%; server_name .example.com; return 200 $server_name; } }
    stream { server { listen 127.0.0.1:%%PORT_1%%; server_name .example.org; return $server_name; } }`,
  })
  const response = await fetch(`http://127.0.0.1:${ports[0]}/`)
  assert.equal(await response.text(), 'example.com')
  const { text, socket } = await greeting(ports[1]!)
  socket.destroy()
  assert.equal(text, 'example.org')
})

test('worker_connections: where none is left for the upstream, the session ends with 500', async t => {
  const upstream = net.createServer(socket => {
    socket.on('error', () => {})
    socket.write('hello')
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  atEnd(t, () => void upstream.close())
  const { port } = upstream.address() as net.AddressInfo
  const server = await serve(t, {
    conf: `worker_processes 1;
    events { worker_connections 3; }
    stream { log_format short '$status $upstream_addr'; access_log short.log short;
      server { listen 127.0.0.1:%%PORT_0%%; proxy_pass 127.0.0.1:${port}; } }`,
  })
  const lines = (): string => server.file('short.log')
  // Whoever looked whether the server is there may not have left yet.
  const first = await eventually(async () => {
    const socket = net.connect(server.ports[0]!, '127.0.0.1')
    socket.on('error', () => {})
    const heard = once(socket, 'data').then(() => socket)
    return Promise.race([heard, once(socket, 'close').then(() => null)])
  })
  const second = net.connect(server.ports[0]!, '127.0.0.1')
  second.on('error', () => {})
  second.resume()
  await once(second, 'close')
  first!.destroy()
  await eventually(() => /^500 /m.test(lines()))
  assert.match(
    server.errorLog(),
    /\[alert\] .*3 worker_connections are not enough while connecting to upstream, client: /,
  )
})
