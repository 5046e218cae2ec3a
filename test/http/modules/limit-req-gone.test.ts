// Clients that leave while limit_req holds their requests back: nothing of them stays but what the zone has counted.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, raw, type RawClient } from '../../helpers/index.ts'
import { get as fields, frame, headers, http2, uint32 } from '../../helpers/http2.ts'
import { serveHttp } from '../../helpers/http.ts'

/** For days. */
const CONF = `http2 on; access_log access.log state;
  location /held { limit_req zone=slow burst=2000; dav_methods PUT; root html; client_body_buffer_size 1k; }
  location /free { return 200 free; }
  location /counts { stub_status; }`
const ZONES = `limit_req_zone $arg_k zone=slow:64k rate=1r/m; log_format state '$request_method $uri $status $limit_req_status';`

const timers = (): number => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length

test('limit_req: who leaves while his request is held back leaves no timer, no connection and no line of alarm', async t => {
  const server = await serveHttp(t, CONF, ZONES, { files: { 'html/held': 'text' } })
  const active = async (): Promise<string> =>
    /Active connections: (\d+)/.exec((await get(server.port, '/counts')).text)![1]!
  const logged = (line: string): number => readFileSync(join(server.dir, 'access.log'), 'latin1').split(line).length - 1
  assert.equal((await get(server.port, '/held?k=a')).text, 'text')
  const delays = (): number => server.errorLog().split(' delaying request, ').length - 1
  const before = timers()
  const ways: readonly ((client: RawClient) => void)[] = [
    client => client.destroy(),
    client => client.reset(),
    client => client.end(),
  ]
  for (let i = 0; i < 12; i++) {
    const client = await raw(t, server.port)
    const body = i % 2 === 0 ? '' : 'x'.repeat(5000)
    const method = body === '' ? 'GET' : 'PUT'
    await client.send(`${method} /held?k=a HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    await eventually(() => delays() === i + 1)
    ways[i % 3]!(client)
  }
  await eventually(() => logged('499 DELAYED') === 12)
  const client = await http2(t, server.port)
  for (let stream = 1; stream < 9; stream += 2) client.send(headers(stream, fields('/held?k=a')))
  await eventually(() => delays() === 16)
  for (let stream = 1; stream < 9; stream += 2) client.send(frame(3, 0, stream, uint32(8)))
  client.send(headers(9, fields('/free')))
  assert.equal((await client.response(9)).body, 'free')
  client.socket.destroy()
  await eventually(() => logged('499 DELAYED') === 16)
  await eventually(async () => (await active()) === '1')
  await eventually(() => timers() <= before)
  assert.equal(readFileSync(join(server.dir, 'html/held'), 'latin1'), 'text')
  assert.ok(!/\[(?:crit|alert|emerg)\]/.test(server.errorLog()))
  // They have been counted, as those who wait to the end are.
  const last = await raw(t, server.port)
  await last.send('GET /held?k=a HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(() => / delaying request, excess: (?:16\.9|17\.0)/.test(server.errorLog()))
})
