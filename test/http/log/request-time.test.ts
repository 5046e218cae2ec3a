// Times to the microsecond, for the logs and StatsD that ask for them.

import assert from 'node:assert/strict'
import test from 'node:test'
import { datagramPeer } from '../../helpers/datagrams.ts'
import { eventually, get, serve } from '../../helpers/index.ts'

const COUNT = 20

test('$request_time_us and $request_time_precise are finer than a millisecond', async t => {
  const server = await serve(
    t,
    `http {
      log_format fine "$request_time_us $request_time_precise $request_time_ms $request_time_s";
      server { listen 127.0.0.1:%%PORT_0%%; access_log fine.log fine; return 204; }
    }`,
  )
  for (let i = 0; i < COUNT; i++) await get(server.port)
  const lines = await linesOf(() => server.file('fine.log'))
  for (const line of lines) assert.match(line, /^\d+ \d+\.\d{6} \d+ 0$/)
  assert.ok(
    lines.some(line => Number(line.split(' ')[0]) % 1000 !== 0),
    lines.join('\n'),
  )
  assert.ok(
    lines.some(line => !/^\d+ \S*000 /.test(line)),
    lines.join('\n'),
  )
})

test('StatsD is told of fractions of a millisecond, of a server and of a location', async t => {
  const peer = await datagramPeer(t, () => [])
  const server = await serve(
    t,
    `http {
      access_log off;
      server { listen 127.0.0.1:%%PORT_0%%; statsd 127.0.0.1:${peer.port} prefix=server; return 204; }
      server { listen 127.0.0.1:%%PORT_1%%;
        location / { statsd 127.0.0.1:${peer.port} prefix=location; try_files /none =204; } }
    }`,
  )
  for (const [i, prefix] of ['server', 'location'].entries()) {
    for (let k = 0; k < COUNT; k++) await get(server.ports[i]!)
    const durations = await linesOf(() =>
      peer.heard
        .flatMap(({ text }) => text.split('\n'))
        .filter(line => line.startsWith(`${prefix}.gunicorn.request.duration:`))
        .join('\n'),
    )
    for (const line of durations) assert.match(line, /:\d+(?:\.\d{1,3})?\|ms$/)
    assert.ok(
      durations.some(line => line.includes('.', line.indexOf(':'))),
      durations.join('\n'),
    )
  }
})

async function linesOf(text: () => string): Promise<string[]> {
  await eventually(() => text().trimEnd().split('\n').length >= COUNT)
  return text().trimEnd().split('\n')
}
