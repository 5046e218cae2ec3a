// Nobody may smuggle a request past us: whatever a client sends, every request that a back end sees is one that the client's
// bytes contain as RFC 9112 has it, in their order and with their bodies, and the client is told as many answers. Back ends of
// all kinds, over connections that are used again for the next conversation.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Random, seed } from '../../codec/h1/feeding.ts'
import { serveHttp } from '../../helpers/http.ts'
import { RawClient } from '../../helpers/index.ts'
import { MessageReader } from '../../helpers/message.ts'
import { echoOf, fastcgi, http, scgi, uwsgi } from './backends.ts'
import type { Backend, SeenRequest } from './backends.ts'
import { conversation } from './messages.ts'
import { readRequests } from './oracle.ts'
import type { Reading } from './oracle.ts'

const CASES = Number(process.env['DESYNC'] ?? 1500)
const LAST = 'GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'
/** How long it is watched whether something comes of what should lead to nothing. */
const WATCH_MS = 15

const PARAMS = (kind: string): string =>
  `${kind}_param REQUEST_METHOD $request_method; ${kind}_param REQUEST_URI $request_uri; ${kind}_param X $uri;` +
  (kind === 'scgi' ? '' : `${kind}_param CONTENT_LENGTH $content_length;`)

interface Kind {
  readonly name: string
  readonly make: (t: test.TestContext) => Promise<Backend>
  readonly pass: string
}

const kinds: readonly Kind[] = [
  { name: 'HTTP/1.1', make: http, pass: 'proxy_pass http://back;' },
  { name: 'HTTP/1.1, bodies as they come', make: http, pass: 'proxy_pass http://back; proxy_request_buffering off; proxy_pass_trailers on;' },
  { name: 'HTTP/1.1 with another path', make: http, pass: 'rewrite ^ $uri break; proxy_pass http://back; proxy_set_header X $uri;' },
  { name: 'HTTP/1.1, upgrades asked for', make: http, pass: 'proxy_pass http://back; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;' },
  { name: 'FastCGI', make: fastcgi, pass: `fastcgi_pass back; fastcgi_keep_conn on; ${PARAMS('fastcgi')}` },
  { name: 'FastCGI, bodies as they come', make: fastcgi, pass: `fastcgi_pass back; fastcgi_keep_conn on; fastcgi_request_buffering off; ${PARAMS('fastcgi')}` },
  { name: 'uwsgi', make: uwsgi, pass: `uwsgi_pass back; ${PARAMS('uwsgi')}` },
  { name: 'uwsgi, bodies as they come', make: uwsgi, pass: `uwsgi_pass back; uwsgi_request_buffering off; ${PARAMS('uwsgi')}` },
  { name: 'SCGI', make: scgi, pass: `scgi_pass back; ${PARAMS('scgi')}` },
  { name: 'SCGI, bodies as they come', make: scgi, pass: `scgi_pass back; scgi_request_buffering off; ${PARAMS('scgi')}` },
]

async function sendIn(client: RawClient, bytes: string, random: Random): Promise<void> {
  const manner = random.below(4)
  if (manner > 1) {
    await client.send(bytes).catch(() => {})
    return
  }
  const step = manner === 0 && bytes.length < 600 ? 1 : 1 + random.below(200)
  for (let at = 0; at < bytes.length && !client.ended; at += step) {
    client.socket.write(bytes.slice(at, at + step), 'latin1')
    await new Promise(setImmediate)
  }
}

interface Answers {
  readonly statuses: number[]
  readonly texts: string[]
  readonly whole: boolean
}

/** Of final answers; those to `reading`'s requests, then those of whatever ended them. */
function answersIn(received: Buffer, reading: Reading): Answers {
  const statuses: number[] = []
  const texts: string[] = []
  let rest: Buffer = received
  while (rest.length > 0) {
    // HTTP/0.9 has no heads.
    if (rest[0] === 60) {
      texts.push(rest.toString('latin1'))
      statuses.push(texts.at(-1)!.startsWith('<GET ') ? 200 : 400)
      break
    }
    const method = reading.requests[statuses.length]?.method ?? (/^[\r\n]*HEAD /.test(reading.broken) ? 'HEAD' : 'GET')
    const reader = new MessageReader('response', method)
    rest = Buffer.from(reader.feed(rest))
    if (!reader.done && reader.state !== 'until-close') return { statuses, texts, whole: false }
    reader.end()
    const { status, body } = reader.response()
    if (status < 200) continue
    statuses.push(status)
    texts.push(body.toString('latin1'))
  }
  return { statuses, texts, whole: true }
}

/** Has the client what it may hope for? */
function isOver(client: RawClient, reading: Reading): boolean {
  return client.ended || (reading.end === 'incomplete' && answersIn(client.received, reading).statuses.length >= reading.requests.length)
}

async function converse(port: number, bytes: string, reading: Reading, random: Random): Promise<{ received: Buffer; ended: boolean }> {
  const client = new RawClient(port)
  client.socket.on('error', () => {})
  await client.connected
  await sendIn(client, bytes, random)
  for (let waited = 0; !isOver(client, reading) && waited < 5000; waited++) await new Promise(resolve => setTimeout(resolve, 1))
  if (!client.ended) await new Promise(resolve => setTimeout(resolve, WATCH_MS))
  const { received, ended } = client
  client.destroy()
  return { received, ended }
}

function check(reading: Reading, seen: readonly SeenRequest[], { statuses, texts, whole }: Answers, ended: boolean): void {
  const { requests } = reading
  assert.ok(seen.length <= requests.length, `${seen.length} requests seen, ${requests.length} sent`)
  // A request that is refused for itself (its host, its size) is not seen; then nothing behind it is.
  for (const [i, one] of seen.entries()) {
    const { method, target, body } = one
    assert.deepEqual({ method, target, body }, requests[i])
    assert.equal(statuses[i], 200)
    if (method !== 'HEAD') assert.equal(texts[i], echoOf(method, target, body))
  }
  assert.ok(statuses.length <= seen.length + 1)
  if (statuses.length > seen.length) assert.ok(statuses.at(-1)! >= 400, `${statuses}`)
  if (reading.end !== 'incomplete') assert.ok(ended, 'the connection stays open')
  assert.ok(whole)
}

const start = seed()

for (const { name, make, pass } of kinds) {
  test(`no request is smuggled past us to ${name} (FUZZ_SEED=${start})`, { timeout: 120_000 }, async t => {
    const random = new Random(start)
    const back = await make(t)
    const server = await serveHttp(
      t,
      `location / { ${pass} } client_max_body_size 100k; client_body_buffer_size 64;`,
      `upstream back { server 127.0.0.1:${back.port}; keepalive 4; }`,
    )
    let [sent, whole] = [0, 0]
    for (let i = 0; i < CASES; i++) {
      const bytes = conversation(random, n => `/p/${i}.${n}`) + LAST
      const reading = readRequests(bytes)
      const { received, ended } = await converse(server.port, bytes, reading, random)
      const seen = back.take()
      try {
        assert.deepEqual(back.faults, [])
        check(reading, seen, answersIn(received, reading), ended)
      } catch (error) {
        t.diagnostic(`case ${i}: ${JSON.stringify(bytes)}\n${JSON.stringify(reading)}\nseen ${JSON.stringify(seen)}\nreceived ${JSON.stringify(received.toString('latin1'))}`)
        throw error
      }
      sent += reading.requests.length
      whole += seen.length
    }
    t.diagnostic(`${whole} of ${sent} requests went on`)
  })
}
