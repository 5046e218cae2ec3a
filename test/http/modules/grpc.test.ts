import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'
import { serveHttp } from '../../helpers/http.ts'
import { fileScope, get, isMissing, needs, PYTHON, responder } from '../../helpers/index.ts'

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
