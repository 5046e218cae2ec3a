import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { eventually, raw, requestBytes, serve, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(
  file,
  `http {
    server {
      listen 127.0.0.1:%%PORT_0%% proxy_protocol;
      client_header_timeout 300ms;
      return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_tlv_alpn $remote_addr";
    }
    server {
      listen 127.0.0.1:%%PORT_1%% proxy_protocol;
      return 200 "[$proxy_protocol_tlv_nothing]";
    }
  }`,
)

test('listen proxy_protocol: the header may come in pieces, and with the request', async t => {
  const client = await raw(t, server.port)
  const bytes = Buffer.concat([Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 123 80\r\n'), requestBytes({})])
  for (const byte of bytes.subarray(0, 45)) {
    client.socket.write(Buffer.from([byte]))
    await new Promise(resolve => setImmediate(resolve))
  }
  client.socket.write(bytes.subarray(45))
  assert.equal((await client.response()).body.toString(), '192.0.2.1 123  127.0.0.1')
})

test('listen proxy_protocol: without the header the connection is closed and that is told', async t => {
  const client = await raw(t, server.port)
  client.socket.write(requestBytes({}))
  await client.closed()
  assert.equal(client.received.length, 0)
  await eventually(() =>
    /broken header: "GET \/ HTTP\/1\.1" while reading PROXY protocol, client: 127/.test(server.errorLog()),
  )
})

test('listen proxy_protocol: who sends nothing is not waited for', async t => {
  const client = await raw(t, server.port)
  client.socket.write('PROXY')
  await client.closed()
})

test('a name that no value can have is told when it is asked for', async t => {
  const client = await raw(t, server.ports[1]!)
  client.socket.write('PROXY TCP4 192.0.2.1 192.0.2.2 123 80\r\n')
  client.socket.write(requestBytes({}))
  assert.equal((await client.response()).body.toString(), '[]')
  await eventually(() => /\[error\] .*unknown PROXY protocol TLV "nothing", client: 127/.test(server.errorLog()))
})
