import assert from 'node:assert/strict'
import { renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { gunzipSync } from 'node:zlib'
import { KeptFiles } from '../../../src/http/files/kept-files.ts'
import type { HttpRequest } from '../../../src/http/request.ts'
import { eventually, request, tempDir } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const at = (ms: number): HttpRequest => ({ startMs: ms }) as HttpRequest

/** When files made now have been left alone for long enough. */
const later = (): HttpRequest => at(Date.now() + 5000)

test('a file that has settled is read once, and again when anything about it changes', t => {
  const path = join(tempDir(t), 'a')
  writeFileSync(path, 'one')
  const files = new KeptFiles()
  const first = files.open(path, later())
  assert.equal(first.text, 'one')
  assert.equal(files.open(path, later()), first)

  const { atimeMs, mtimeMs } = statSync(path)
  writeFileSync(path, 'two')
  // Whoever sets the time back cannot set the time of that change.
  utimesSync(path, atimeMs / 1000, mtimeMs / 1000)
  const second = files.open(path, later())
  assert.equal(second.text, 'two')
  assert.equal(files.open(path, later()), second)

  writeFileSync(`${path}.new`, 'six')
  renameSync(`${path}.new`, path)
  assert.equal(files.open(path, later()).text, 'six')
  rmSync(path)
  assert.equal(files.open(path, later()).code, 'ENOENT')
})

test('a file changed a moment ago is read each time: it may change again within a tick of the clock', t => {
  const path = join(tempDir(t), 'a')
  writeFileSync(path, 'one')
  const files = new KeptFiles()
  const soon = at(statSync(path).ctimeMs + 100)
  assert.notEqual(files.open(path, soon), files.open(path, soon))
})

test('compressed forms are kept with the file, one for each way of making them, and go with it', async t => {
  const words = 'some words and others '.repeat(200)
  const server = await serveHttp(
    t,
    `gzip_types *;
     location /1/ { alias files/; gzip on; }
     location /9/ { alias files/; gzip on; gzip_comp_level 9; }
     location /changed/ { alias files/; gzip on; sub_filter words letters; sub_filter_types *; }
     location /br/ { alias files/; brotli on; brotli_types *; }`,
    '',
    { files: { 'files/text': words } },
  )
  const get = (path: string, coding = 'gzip'): Promise<Buffer> =>
    request({ address: server.port, path, headers: { 'Accept-Encoding': coding } }).then(({ body }) => body)
  const path = join(server.dir, 'files/text')
  // Requests come now: let it seem old enough.
  await eventually(() => Date.now() - statSync(path).ctimeMs > 2100)
  const fast = await get('/1/text')
  for (let i = 0; i < 3; i++) assert.ok((await get('/1/text')).equals(fast))
  assert.equal(gunzipSync(fast).toString(), words)
  const small = await get('/9/text')
  assert.equal(gunzipSync(small).toString(), words)
  assert.ok(!small.equals(fast))
  assert.equal(gunzipSync(await get('/changed/text')).toString(), words.replace('words', 'letters'))
  assert.ok(!(await get('/br/text', 'br')).equals(fast))
  assert.ok((await get('/1/text')).equals(fast))

  writeFileSync(path, 'other text of that kind '.repeat(200))
  assert.match(gunzipSync(await get('/1/text')).toString(), /^other/)
})
