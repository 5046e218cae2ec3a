import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { eventually, raw, request, serve, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(
  file,
  `worker_processes 2;
  http {
    server {
      listen 127.0.0.1:%%PORT_0%%;
      location / { add_header X-Counts "$connections_active $connections_reading $connections_writing $connections_waiting"; return 200; }
      location /status { stub_status; stub_status on; }
      location /gif { empty_gif; }
    }
  }`,
)

async function status(): Promise<number[]> {
  const { body } = await request({ address: server.port, path: '/status' })
  const text = body.toString()
  assert.match(
    text,
    /^Active connections: \d+ \nserver accepts handled requests\n \d+ \d+ \d+ \nReading: \d+ Writing: \d+ Waiting: \d+ \n$/,
  )
  return text.match(/\d+/g)!.map(Number)
}

test('stub_status: connections of all threads by what they do', async t => {
  await eventually(async () => (await status())[0] === 1)
  const waiting = await Promise.all(Array.from({ length: 4 }, () => raw(t, server.port)))
  await eventually(async () => (await status()).at(-1) === 4)
  waiting[0]!.socket.write('GET / HTTP/1.1\r\n')
  await eventually(async () => {
    const [active, , , , reading, writing, idle] = await status()
    return active === 5 && reading === 1 && writing === 1 && idle === 3
  })
  for (const client of waiting) client.destroy()
  await eventually(async () => (await status())[0] === 1)
  const [, accepted, handled, requests] = await status()
  assert.equal(accepted, handled)
  assert.ok(requests! >= 3 && accepted! >= requests!)
})

test('stub_status: variables say the same, and only GET and HEAD are answered', async () => {
  // The connection of the test before may not have been closed on the server's side yet.
  await eventually(async () => (await request({ address: server.port })).header('x-counts') === '1 0 1 0')
  assert.equal((await request({ address: server.port, method: 'POST', path: '/status' })).status, 405)
})

test('empty_gif: a picture of one pixel', async () => {
  const { body } = await request({ address: server.port, path: '/gif' })
  assert.equal(body.length, 43)
  assert.equal(body.toString('latin1', 0, 6), 'GIF89a')
  assert.equal(body.at(-1), 0x3b)
})
