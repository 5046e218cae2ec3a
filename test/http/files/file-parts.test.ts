import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { eventually, request } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const GIGABYTE = 1024 * 1024 * 1024
const file = { after }
const content = Buffer.alloc(3_000_000)
for (let i = 0; i < content.length; i++) content[i] = (i * 31 + (i >> 7)) & 255

/** Every way a file's bytes can take. */
const ways = {
  sendfile: 'sendfile on;',
  chunks: 'sendfile on; sendfile_max_chunk 100k;',
  read: '',
  threads: 'aio threads;',
  filtered: 'sendfile on; sub_filter never-there never; sub_filter_types *;',
}
const server = await serveHttp(
  file,
  Object.entries(ways)
    .map(([name, how]) => `location /${name}/ { alias files/; ${how} }`)
    .join('\n'),
  'send_timeout 20s;',
  { files: { 'files/some': content } },
)
const folder = join(server.dir, 'files')
closeSync(openSync(join(folder, 'huge'), 'w'))
truncateSync(join(folder, 'huge'), 10 * GIGABYTE)

/** Asks and reads the body as fast as it comes, up to `max` bytes, keeping nothing of it. */
function drain(path: string, max: number): Promise<{ bytes: number; head: string }> {
  return new Promise((resolve, reject) => {
    const state = { bytes: 0, head: '' }
    const socket = net.connect({
      port: server.port,
      host: '127.0.0.1',
      onread: {
        buffer: Buffer.alloc(1 << 20),
        callback(size: number, buffer: Uint8Array) {
          if (state.head === '') {
            const text = Buffer.from(buffer.buffer, buffer.byteOffset, Math.min(size, 4096)).toString('latin1')
            state.head = text.slice(0, text.indexOf('\r\n\r\n') + 4)
            state.bytes -= state.head.length
          }
          state.bytes += size
          if (state.bytes >= max) socket.destroy()
          return true
        },
      },
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(state))
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  })
}

/** A client that asks and does not read before it is told to. */
function slowClient(path: string): Promise<{ socket: net.Socket; rest(): Promise<Buffer> }> {
  return new Promise(resolve => {
    const socket = net.connect({ port: server.port, host: '127.0.0.1' })
    socket.pause()
    socket.on('error', () => undefined)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    socket.once('readable', () => {
      resolve({
        socket,
        rest: () =>
          new Promise(done => {
            const chunks: Buffer[] = []
            socket.on('data', (chunk: Buffer) => chunks.push(chunk))
            socket.on('close', () => done(Buffer.concat(chunks)))
            socket.resume()
          }),
      })
    })
  })
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const bodyOf = (response: Buffer): Buffer => response.subarray(response.indexOf('\r\n\r\n') + 4)

for (const way of Object.keys(ways)) {
  test(`${way}: whole and in parts, each byte in its place`, async () => {
    const whole = await request({ address: server.port, path: `/${way}/some` })
    assert.equal(digest(whole.body), digest(content))
    if (way === 'filtered') return
    for (const [first, last] of [
      [0, 0],
      [1, 70_000],
      [65_535, 65_536],
      [100_000, 2_999_999],
    ] as const) {
      const headers = { Range: `bytes=${first}-${last}` }
      const part = await request({ address: server.port, path: `/${way}/some`, headers })
      assert.equal(part.status, 206)
      assert.ok(part.body.equals(content.subarray(first, last + 1)), `${first}-${last}`)
    }
    const headers = { Range: 'bytes=0-9,200000-400000,5-6,-3' }
    const parts = await request({ address: server.port, path: `/${way}/some`, headers })
    const boundary = /boundary=(\d+)/.exec(parts.header('content-type')!)![1]!
    const bodies = parts.body.toString('latin1').split(`--${boundary}`).slice(1, -1)
    assert.deepEqual(
      bodies.map(part => digest(Buffer.from(part.slice(part.indexOf('\r\n\r\n') + 4, -2), 'latin1'))),
      [content.subarray(0, 10), content.subarray(200_000, 400_001), content.subarray(5, 7), content.subarray(-3)].map(
        digest,
      ),
    )
  })

  test(`${way}: a client that reads late gets all of it`, async () => {
    const client = await slowClient(`/${way}/some`)
    await new Promise(resolve => setImmediate(resolve))
    const body = bodyOf(await client.rest())
    if (way === 'filtered') assert.ok(body.length > content.length)
    else assert.equal(digest(body), digest(content))
  })

  test(`${way}: a file cut short while it is served ends the connection, and nothing is made up`, async () => {
    const path = join(folder, `cut-${way}`)
    writeFileSync(path, Buffer.alloc(40_000_000, 'x'))
    const client = await slowClient(`/${way}/cut-${way}`)
    truncateSync(path, 100_000)
    const response = await client.rest()
    const body = bodyOf(response)
    assert.ok(body.length < 39_000_000, `${body.length} bytes came`)
    // What the kernel has queued are the file's own pages, which it clears behind the new end.
    if (way !== 'sendfile' && way !== 'chunks') assert.equal(body.includes(0), false)
    await eventually(() => /was truncated at \d+/.test(server.errorLog()))
  })

  test(`${way}: a file that is replaced while it is served stays the one that was opened`, async () => {
    const path = join(folder, `replaced-${way}`)
    writeFileSync(path, Buffer.alloc(20_000_000, 'a'))
    const client = await slowClient(`/${way}/replaced-${way}`)
    writeFileSync(`${path}.new`, Buffer.alloc(20_000_000, 'b'))
    renameSync(`${path}.new`, path)
    const body = bodyOf(await client.rest())
    assert.equal(body.indexOf('b'), -1)
    if (way !== 'filtered') assert.equal(body.length, 20_000_000)
    const again = await request({ address: server.port, path: `/${way}/replaced-${way}` })
    assert.equal(again.body.indexOf('a'), -1)
  })

  test(`${way}: ten gigabytes cost next to no memory`, async () => {
    const before = process.memoryUsage().rss
    let most = 0
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20)
    const { bytes, head } = await drain(`/${way}/huge`, way === 'filtered' ? GIGABYTE / 8 : GIGABYTE / 2)
    clearInterval(watch)
    if (way !== 'filtered') assert.match(head, /\r\nContent-Length: 10737418240\r\n/)
    assert.ok(bytes > 0)
    assert.ok(most - before < 64 * 1024 * 1024, `${((most - before) / 1024 / 1024).toFixed(1)} MiB more`)
    const headers = { Range: 'bytes=10737418239-' }
    const end = await request({
      address: server.port,
      path: `/${way}/huge`,
      headers,
      ...(way === 'filtered' ? { method: 'HEAD' } : {}),
    })
    if (way !== 'filtered') assert.equal(end.header('content-range'), 'bytes 10737418239-10737418239/10737418240')
  })
}

test('all descriptors are let go of, whichever way responses ended', async () => {
  const open = (): number => readdirSync('/proc/self/fd').length
  await eventually(() => /^\d+$/.test(`${open()}`))
  const before = open()
  for (const way of Object.keys(ways)) {
    const client = await slowClient(`/${way}/huge`)
    client.socket.destroy()
  }
  await eventually(() => open() <= before)
})
