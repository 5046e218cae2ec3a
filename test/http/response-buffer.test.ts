import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { ftruncateSync, readdirSync } from 'node:fs'
import test from 'node:test'
import { LOCATION } from '../../src/config/directive.ts'
import { flag } from '../../src/config/values.ts'
import { DONE, httpModule } from '../../src/http/module.ts'
import { sendHead } from '../../src/http/output.ts'
import { ResponseBuffer, type Producer } from '../../src/http/response-buffer.ts'
import type { HttpRequest } from '../../src/http/request.ts'
import { eventually } from '../helpers/eventually.ts'
import { serveHttp } from '../helpers/http.ts'
import { raw } from '../helpers/raw.ts'

const PIECE = 50_000
const PIECES = 200
const total = PIECE * PIECES

/** Pushes all it has as fast as the buffer lets it, and notes how far it got. */
class Pusher implements Producer {
  pushed = 0
  waits = 0
  cancelled = false
  private readonly buffer: ResponseBuffer
  private readonly r: HttpRequest
  constructor(r: HttpRequest, fileMax: number, tempPath: string) {
    this.r = r
    this.buffer = new ResponseBuffer(r, this, { memoryMax: 65536, fileMax, tempPath })
  }
  run(): void {
    while (this.pushed < PIECES) {
      // A chunk that is overwritten after the call, as the thread's read buffer is.
      const chunk = Buffer.alloc(PIECE, this.pushed % 251)
      const goOn = this.buffer.push(this.r, chunk, this.pushed === PIECES - 1)
      this.pushed++
      if (!goOn) {
        this.waits++
        return
      }
    }
  }
  resumeProducing(): void {
    this.run()
  }
  cancelProducing(): void {
    this.cancelled = true
  }
}

let current: Pusher | null = null
let fileMax = 0
let tempPath = ''
const push = httpModule({
  name: 'push',
  directives: { push: flag(LOCATION, false) },
  compile(conf, at) {
    if (conf.push) at.content(pushAll, null)
  },
})

function pushAll(r: HttpRequest): number {
  r.status = 200
  current = new Pusher(r, fileMax, tempPath)
  sendHead(r)
  current.run()
  return DONE
}

function expected(): string {
  const hash = createHash('sha1')
  for (let i = 0; i < PIECES; i++) hash.update(Buffer.alloc(PIECE, i % 251))
  return hash.digest('hex')
}

async function startPaused(t: Parameters<typeof serveHttp>[0], max: number) {
  const server = await serveHttp(t, 'location / { push on; }', '', { modules: [push], files: { 'temp/x': '' } })
  fileMax = max
  current = null
  tempPath = `${server.dir}/temp`
  const client = await raw(t, server.port)
  client.pause()
  await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(() => current !== null)
  return { server, client, pusher: current as unknown as Pusher }
}

test('a producer is done at once while a client reads nothing; the client gets every byte later', async t => {
  const { server, client, pusher } = await startPaused(t, 1 << 30)
  await eventually(() => pusher.pushed === PIECES)
  assert.equal(pusher.waits, 0)
  assert.deepEqual(readdirSync(`${server.dir}/temp`), ['x'])
  client.resume()
  const response = await client.response()
  assert.equal(response.body.length, total)
  assert.equal(createHash('sha1').update(response.body).digest('hex'), expected())
})

test('without a file, and with one that fills up, the producer waits and goes on', async t => {
  for (const max of [0, 1_000_000]) {
    const { client, pusher, server } = await startPaused(t, max)
    await eventually(() => pusher.waits > 0)
    assert.ok(pusher.pushed < PIECES)
    client.resume()
    const response = await client.response()
    assert.equal(createHash('sha1').update(response.body).digest('hex'), expected(), `file of ${max}`)
    assert.equal(server.errorLog().split('is buffered to a temporary file').length - 1, max === 0 ? 0 : 1)
  }
})

test('a client that leaves cancels the producer', async t => {
  const { client, pusher } = await startPaused(t, 0)
  await eventually(() => pusher.waits > 0)
  client.reset()
  await eventually(() => pusher.cancelled)
})

test('where a temporary file cannot be written, which is told, the producer waits instead', async t => {
  const { server, client, pusher } = await startPaused(t, 1 << 30)
  await eventually(() => pusher.pushed === PIECES)
  client.destroy()
  tempPath = `${server.dir}/missing`
  const other = await raw(t, server.port)
  other.pause()
  await other.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await eventually(() => server.errorLog().includes('response could not be buffered'))
  assert.ok(current!.pushed < PIECES)
  other.resume()
  const response = await other.response('GET', 60_000)
  assert.equal(createHash('sha1').update(response.body).digest('hex'), expected())
})

test('a temporary file that has lost bytes ends the response, which is told', async t => {
  const { server, client, pusher } = await startPaused(t, 1 << 30)
  await eventually(() => pusher.pushed === PIECES)
  const { buffer } = pusher as unknown as { buffer: { descriptor: number } }
  ftruncateSync(buffer.descriptor, 1_000_000)
  client.resume()
  await assert.rejects(client.response())
  assert.match(
    server.errorLog(),
    /buffered response could not be read \(its file is shorter than what was written to it\)/,
  )
})
