// Active health checks of servers that speak HTTP/2: with `type=grpc` by gRPC's own call, else by a GET.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { certificate } from '../../helpers/certificates.ts'
import { atEnd, eventually, get, needs, tempDir } from '../../helpers/index.ts'
import type { Scope } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import type { HttpServer } from '../../helpers/http.ts'

interface Asked {
  readonly headers: http2.IncomingHttpHeaders
  readonly body: string
}

type Handler = (stream: http2.ServerHttp2Stream, asked: Asked) => void

interface Server {
  readonly port: number
  readonly asked: Asked[]
  answer: Handler
}

async function http2Server(t: Scope, answer: Handler, secure?: http2.SecureServerOptions): Promise<Server> {
  const server = secure === undefined ? http2.createServer() : http2.createSecureServer(secure)
  const sockets = new Set<Socket>()
  const state = { port: 0, asked: [] as Asked[], answer }
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('sessionError', () => {})
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    let body = ''
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')))
    stream.on('end', () => {
      const asked = { headers, body }
      state.asked.push(asked)
      state.answer(stream, asked)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  state.port = (server.address() as AddressInfo).port
  return state
}

/** As a gRPC server: a message in front, the status behind. */
function grpc(message: string, status: string): Handler {
  return stream => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }))
    const prefix = message === '' ? '' : `\0\0\0\0${String.fromCharCode(message.length)}`
    stream.end(Buffer.from(prefix + message, 'latin1'))
  }
}

const SERVING = '\x08\x01'
const NOT_SERVING = '\x08\x02'

function serveChecked(t: Scope, port: number, location: string, more = ''): Promise<HttpServer> {
  return serveHttp(
    t,
    `location /api { api; } location / { ${location} }`,
    `upstream u { zone z 64k; server 127.0.0.1:${port} ${more}; }`,
  )
}

async function peer(server: HttpServer): Promise<any> {
  return JSON.parse((await get(server.port, '/api/9/http/upstreams/u')).text).peers[0]
}

test('type=grpc: a server is healthy that says it is serving', async t => {
  const back = await http2Server(t, grpc(SERVING, '0'))
  const server = await serveChecked(
    t,
    back.port,
    'grpc_pass u; grpc_set_header X-A b; health_check mandatory interval=30ms type=grpc grpc_service=a.B;',
  )
  await eventually(async () => (await peer(server)).state === 'up')
  const { headers, body } = back.asked[0]!
  assert.equal(headers[':method'], 'POST')
  assert.equal(headers[':path'], '/grpc.health.v1.Health/Check')
  assert.equal(headers[':authority'], 'u')
  assert.equal(headers['content-type'], 'application/grpc')
  assert.equal(headers['te'], 'trailers')
  assert.equal(headers['x-a'], 'b')
  assert.equal(body, '\0\0\0\0\x05\x0a\x03a.B')
  back.answer = grpc(NOT_SERVING, '0')
  await eventually(async () => (await peer(server)).state === 'unhealthy')
  assert.match(server.errorLog(), /health check of peer \S+ failed: the service is not serving in upstream "u"/)
  back.answer = grpc(SERVING, '0')
  await eventually(async () => (await peer(server)).state === 'up')
  // Headers alone, as of a server without that service.
  back.answer = stream => stream.respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true })
  await eventually(async () => (await peer(server)).state === 'unhealthy')
  assert.match(server.errorLog(), /unexpected gRPC status "12"/)
})

test('type=grpc grpc_status=12: a server without that service is healthy', async t => {
  const back = await http2Server(t, grpc('', '12'))
  const server = await serveChecked(
    t,
    back.port,
    'grpc_pass u; health_check mandatory interval=30ms type=grpc grpc_status=12;',
  )
  await eventually(async () => (await peer(server)).state === 'up')
  assert.equal(back.asked[0]!.body, '\0\0\0\0\0')
  back.answer = grpc('', '14')
  await eventually(async () => (await peer(server)).state === 'unhealthy')
})

test('where proxy_pass speaks HTTP/2 the check is a GET over HTTP/2, and `match` sees the answer', async t => {
  const back = await http2Server(t, stream => {
    stream.respond({ ':status': 200, 'x-state': 'fine' })
    stream.end('all is well')
  })
  const server = await serveHttp(
    t,
    `location /api { api; }
     location / { proxy_pass http://u; proxy_http_version 2; health_check mandatory interval=30ms uri=/how?x match=m; }`,
    `upstream u { zone z 64k; server 127.0.0.1:${back.port}; }
     match m { status 200; header x-state = fine; body ~ well; }`,
  )
  await eventually(async () => (await peer(server)).state === 'up')
  assert.equal(back.asked[0]!.headers[':path'], '/how?x')
  assert.equal(back.asked[0]!.headers[':method'], 'GET')
  back.answer = stream => {
    stream.respond({ ':status': 200, 'x-state': 'fine' })
    stream.end('all is ill')
  }
  await eventually(async () => (await peer(server)).state === 'unhealthy')
  assert.match(server.errorLog(), /the body does not match/)
  for (const [answer, problem] of [
    [stream => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM), /the server ended the stream/],
    [stream => stream.session!.destroy(), /closed prematurely|ended the connection/],
    [stream => stream.respond({ ':status': 503 }, { endStream: true }), /unexpected status 503/],
  ] as readonly [Handler, RegExp][]) {
    back.answer = answer
    await eventually(() => problem.test(server.errorLog())).catch(() =>
      assert.fail(`${String(problem)} ${server.errorLog().slice(-600)}`),
    )
  }
})

test('grpcs: the check goes over TLS, told the name of the server that is asked', async t => {
  if (!needs(t, 'openssl')) return
  const dir = tempDir(t)
  certificate(dir, 'localhost')
  const [cert, key] = ['crt', 'key'].map(kind => readFileSync(join(dir, `localhost.${kind}`)))
  const names: unknown[] = []
  const back = await http2Server(t, grpc(SERVING, '0'), {
    cert: cert!,
    key: key!,
    SNICallback: (name, done) => {
      names.push(name)
      done(null)
    },
  })
  const server = await serveHttp(
    t,
    `location /api { api; }
     location / { grpc_pass grpcs://u; grpc_ssl_server_name on; grpc_ssl_name $upstream_last_server_name;
       grpc_ssl_verify on; grpc_ssl_trusted_certificate ${dir}/localhost.crt;
       health_check mandatory interval=30ms type=grpc; }`,
    `upstream u { zone z 64k; server localhost:${back.port}; }`,
  )
  await eventually(async () =>
    JSON.parse((await get(server.port, '/api/9/http/upstreams/u')).text).peers.some((one: any) => one.state === 'up'),
  )
  assert.deepEqual([...new Set(names)], ['localhost'])
})

test('what cannot be asked is refused when the configuration is read', async t => {
  const zone = 'upstream u { zone z 64k; server 127.0.0.1:9; }'
  for (const [location, problem] of [
    ['proxy_pass http://u; health_check type=grpc;', /"type=grpc" needs a "grpc_pass" in the same location/],
    ['grpc_pass u; health_check type=grpc uri=/x;', /not compatible with "uri" and "match"/],
    ['grpc_pass u; health_check grpc_service=x;', /invalid parameter "grpc_service=x"/],
    ['grpc_pass u; health_check type=grpc grpc_status=x;', /invalid parameter "grpc_status=x"/],
    ['grpc_pass 127.0.0.1:9; health_check;', /to be in shared memory/],
  ] as const) {
    await assert.rejects(serveHttp(t, `location / { ${location} }`, zone), problem)
  }
})
