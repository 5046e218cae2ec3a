import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'
import { serveHttp } from '../../helpers/http.ts'
import { atEnd, fileScope, get, isMissing, needs, PYTHON, request, responder } from '../../helpers/index.ts'

const scope = fileScope()
const program = join(import.meta.dirname, '../../helpers/responders/grpc_peer.py')
const missing = isMissing('grpc')
const peer = missing ? '127.0.0.1:1' : await responder(scope, 'grpc_peer')

const server = await serveHttp(
  scope,
  `http2 on; location / { grpc_pass grpc://${peer}; }
   location /kept/ { rewrite ^/kept(/.*) $1 break; grpc_pass peers; }
   location /nobody { grpc_pass 127.0.0.1:1; }
   location /page { grpc_pass 127.0.0.1:1; error_page 502 = /unavailable; }
   location = /unavailable {
     internal; default_type application/grpc; add_header grpc-status 14; add_header grpc-message unavailable; return 204;
   }`,
  `upstream peers { server ${peer}; keepalive 2; }`,
)

interface Told {
  unary: [string, string]
  large: number
  error: { code: string; details: string; why: string }
  deadline: { code: string }
  unknown: { code: string }
  stream: string[]
  many: number
  upload: string
  conversation: string[]
}

async function call(address: string): Promise<Told> {
  const { stdout } = await promisify(execFile)(PYTHON, [program, address], { timeout: 40_000 })
  return JSON.parse(stdout) as Told
}

test('calls of all four kinds pass, with their metadata, errors and deadlines, as with no proxy between', async t => {
  if (!needs(t, 'grpc')) return
  const [direct, proxied] = await Promise.all([call(peer), call(`127.0.0.1:${server.port}`)])
  assert.deepEqual(proxied, direct)
  assert.deepEqual(proxied.unary, ['re:hello', 'value'])
  assert.deepEqual(proxied.error, {
    code: 'FAILED_PRECONDITION',
    details: 'it was asked to, for 100 %',
    why: 'because',
  })
  assert.deepEqual([proxied.deadline.code, proxied.unknown.code], ['DEADLINE_EXCEEDED', 'UNIMPLEMENTED'])
  assert.deepEqual(proxied.conversation, ['ONE', 'TWO', 'THREE'])
})

test('without an upstream there is an error page, or what the configuration has for callers', async () => {
  assert.equal((await get(server.port, '/nobody')).status, 502)
  const page = await get(server.port, '/page')
  assert.deepEqual([page.status, page.header('grpc-status')], [204, '14'])
})

interface Asked {
  readonly headers: [string, string][]
}

/** A server that keeps what it is asked, in its order. */
async function recorder(): Promise<{ address: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const server = http2.createServer()
  server.on('stream', (stream: http2.ServerHttp2Stream, _headers, _flags, raw: string[]) => {
    const pairs: [string, string][] = []
    for (let i = 0; i < raw.length; i += 2) pairs.push([raw[i]!, raw[i + 1]!])
    asked.push({ headers: pairs })
    stream.on('error', () => {})
    stream.respond({ ':status': 200 }, { endStream: true })
    stream.resume()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(scope, () => void server.close())
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

test('grpc_set_header Host is the authority; what is set comes before what is usual', async () => {
  const { address, asked } = await recorder()
  const set = await serveHttp(
    scope,
    `location / { grpc_set_header Host $arg_host; grpc_set_header X-Own 1; grpc_pass ${address}; }
     location /plain { grpc_pass ${address}; }`,
  )
  for (const path of ['/?host=set.example', '/?host=', '/plain']) {
    await request({ address: set.port, path, headers: { TE: 'trailers', 'X-Client': '2' } })
  }
  const names = (i: number): string[] => asked[i]!.headers.map(([name]) => name)
  const authorities = asked.map(({ headers }) => headers.find(([name]) => name === ':authority')?.[1])
  assert.deepEqual(authorities, ['set.example', address, address])
  assert.deepEqual(names(0), [':method', ':scheme', ':path', ':authority', 'x-own', 'te', 'x-client'])
  assert.equal(
    asked.some(({ headers }) => headers.some(([name]) => name === 'host')),
    false,
  )
})

test('a length that an HTTP/2 client has not told is not made up', async () => {
  const { address, asked } = await recorder()
  const other = await serveHttp(scope, `http2 on; location / { grpc_pass ${address}; }`)
  const client = http2.connect(`http://127.0.0.1:${other.port}`)
  atEnd(scope, () => client.destroy())
  for (const headers of [{}, { 'content-length': '3' }]) {
    const stream = client.request({ ':method': 'POST', ':path': '/', ...headers })
    stream.end('abc')
    await once(stream.resume(), 'close')
  }
  const lengths = asked.map(({ headers }) => headers.find(([name]) => name === 'content-length')?.[1])
  assert.deepEqual(lengths, [undefined, '3'])
})
