import assert from 'node:assert/strict'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { eventually, raw, request, type Response } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const file = { after }
const methods = 'dav_methods PUT DELETE MKCOL COPY MOVE;'
const server = await serveHttp(
  file,
  `root html;
   client_body_temp_path client_body_temp;
   location / { ${methods} }
   location /deep/ { ${methods} create_full_put_path on; dav_access group:rw all:r; }
   location /guarded/ { ${methods} min_delete_depth 3; }
   location /only/ { dav_methods PUT; }
   location /other/ { alias /dev/shm/portico-dav-test-${process.pid}/; ${methods} create_full_put_path on; }`,
  '',
  { files: { 'html/kept': 'kept' } },
)
const html = join(server.dir, 'html')

function ask(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Response> {
  return request({ address: server.port, method, path, headers, ...(body === undefined ? {} : { body }) })
}

function read(path: string): string {
  return readFileSync(join(html, path), 'latin1')
}

/** Files that were begun and belong to nobody. */
function leftovers(): string[] {
  return readdirSync(join(server.dir, 'client_body_temp')).filter(name => name !== 'x')
}

test('PUT makes a file and tells where, then replaces it', async () => {
  const made = await ask('PUT', '/new%20one', {}, 'first')
  assert.equal(made.status, 201)
  assert.equal(made.header('location'), `http://localhost:${server.port}/new%20one`)
  assert.equal(made.header('content-length'), '0')
  assert.equal(read('new one'), 'first')
  assert.equal(statSync(join(html, 'new one')).mode & 0o777, 0o600)
  const replaced = await ask('PUT', '/new%20one', { Date: 'Sat, 03 Feb 2001 04:05:06 GMT' }, '')
  assert.equal(replaced.status, 204)
  assert.equal(replaced.header('content-length'), null)
  assert.equal(read('new one'), '')
  assert.equal(statSync(join(html, 'new one')).mtimeMs, 981173106000)
  assert.deepEqual(leftovers(), [])
})

test('a body of any size and framing arrives whole', async () => {
  const big = Buffer.alloc(300_000, 'abcdefg').toString('latin1')
  assert.equal((await ask('PUT', '/big', {}, big)).status, 201)
  assert.equal(read('big'), big)
  const client = await raw(file, server.port)
  await client.send(
    'PUT /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
  )
  assert.equal((await client.response()).status, 201)
  assert.equal(read('chunked'), 'abcde')
})

test('a reader never sees half a file, and an upload that is cut off leaves nothing', async () => {
  const client = await raw(file, server.port)
  await client.send('PUT /kept HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf')
  await eventually(() => leftovers().length === 1)
  assert.equal(read('kept'), 'kept')
  client.destroy()
  await eventually(() => leftovers().length === 0)
  assert.equal(read('kept'), 'kept')
})

test('PUT is refused where no file can be', async () => {
  assert.equal((await ask('PUT', '/folder/', {}, 'x')).status, 409)
  mkdirSync(join(html, 'is-folder'))
  assert.equal((await ask('PUT', '/is-folder', {}, 'x')).status, 409)
  assert.equal((await ask('PUT', '/part', { 'Content-Range': 'bytes 0-0/2' }, 'x')).status, 501)
  assert.equal((await ask('PUT', '/missing/file', {}, 'x')).status, 500)
  assert.match(server.errorLog(), /rename\(\) ".*" to ".*\/missing\/file" failed \(2: No such file or directory\)/)
  assert.equal((await ask('DELETE', '/only/x')).status, 405)
  assert.deepEqual(leftovers(), [])
})

test('missing folders are made where that is wanted, with the rights asked for', async () => {
  assert.equal((await ask('PUT', '/deep/a/b/c', {}, 'x')).status, 201)
  assert.equal(statSync(join(html, 'deep/a/b/c')).mode & 0o777, 0o664)
})

test('a file goes to another file system whole', async t => {
  if (!existsSync('/dev/shm') || statSync('/dev/shm').dev === statSync(html).dev) {
    t.skip('there is no other file system')
    return
  }
  const there = `/dev/shm/portico-dav-test-${process.pid}`
  mkdirSync(there)
  t.after(async () =>
    assert.equal((await import('node:fs')).rmSync(there, { recursive: true, force: true }), undefined),
  )
  assert.equal((await ask('PUT', '/other/file', {}, 'over there')).status, 201)
  assert.deepEqual(readdirSync(there), ['file'])
  assert.equal(readFileSync(join(there, 'file'), 'latin1'), 'over there')
  assert.deepEqual(leftovers(), [])
})

test('MKCOL makes a folder once', async () => {
  const made = await ask('MKCOL', '/made/')
  assert.equal(made.status, 201)
  assert.match(made.header('location') ?? '', /\/made\/$/)
  assert.equal((await ask('MKCOL', '/made/')).status, 405)
  assert.equal((await ask('MKCOL', '/made')).status, 409)
  assert.equal((await ask('MKCOL', '/no/parent/')).status, 409)
  assert.equal((await ask('MKCOL', '/body/', {}, 'x')).status, 415)
})

test('DELETE takes files, and folders with all that is in them, but not what links lead to', async () => {
  mkdirSync(join(html, 'tree/sub'), { recursive: true })
  writeFileSync(join(html, 'tree/sub/file'), '')
  writeFileSync(join(html, 'precious'), 'here')
  symlinkSync(join(html, 'precious'), join(html, 'tree/sub/link'))
  symlinkSync('nowhere', join(html, 'tree/broken'))
  assert.equal((await ask('DELETE', '/tree')).status, 409)
  assert.equal((await ask('DELETE', '/tree/', { Depth: '0' })).status, 400)
  assert.equal((await ask('DELETE', '/tree/sub/file', { Depth: '1' })).status, 400)
  assert.equal((await ask('DELETE', '/tree/sub/file', { Depth: 'deep' })).status, 400)
  assert.equal((await ask('DELETE', '/tree/sub/file', { Depth: '0' })).status, 204)
  assert.equal((await ask('DELETE', '/tree/')).status, 204)
  assert.ok(!existsSync(join(html, 'tree')))
  assert.equal(read('precious'), 'here')
  assert.equal((await ask('DELETE', '/tree/')).status, 404)
  assert.equal((await ask('DELETE', '/precious/')).status, 409)
})

test('min_delete_depth keeps a slip from taking a tree', async () => {
  mkdirSync(join(html, 'guarded/a'), { recursive: true })
  writeFileSync(join(html, 'guarded/a/b'), '')
  assert.equal((await ask('DELETE', '/guarded/a/')).status, 409)
  assert.equal((await ask('DELETE', '/guarded/a/b')).status, 204)
})

test('COPY and MOVE: files', async () => {
  writeFileSync(join(html, 'from'), 'content')
  assert.equal((await ask('COPY', '/from', { Destination: '/copy' })).status, 204)
  assert.equal((await ask('COPY', '/from', { Destination: '/copy', Overwrite: 'F' })).status, 412)
  assert.equal((await ask('MOVE', '/from', { Destination: `http://localhost:${server.port}/x/y/moved` })).status, 204)
  assert.equal(read('copy'), 'content')
  assert.equal(read('x/y/moved'), 'content')
  assert.ok(!existsSync(join(html, 'from')))
  assert.deepEqual(readdirSync(join(html, 'x/y')), ['moved'])
})

test('COPY and MOVE: folders', async () => {
  mkdirSync(join(html, 'f/sub'), { recursive: true })
  writeFileSync(join(html, 'f/sub/file'), 'in it')
  mkdirSync(join(html, 'g'))
  writeFileSync(join(html, 'g/old'), '')
  assert.equal((await ask('COPY', '/f/', { Destination: '/g/' })).status, 201)
  assert.deepEqual(readdirSync(join(html, 'g')), ['sub'])
  assert.equal((await ask('MOVE', '/f/', { Destination: '/h/' })).status, 201)
  assert.equal(read('h/sub/file'), 'in it')
  assert.ok(!existsSync(join(html, 'f')))
  assert.equal((await ask('COPY', '/h/', { Destination: '/h/sub/in/' })).status, 403)
  assert.equal((await ask('MOVE', '/h/sub/', { Destination: '/h/' })).status, 403)
  assert.equal((await ask('COPY', '/h/', { Destination: '/h/' })).status, 403)
})

test('COPY of a folder takes what links lead to', async () => {
  mkdirSync(join(html, 'linking/inner'), { recursive: true })
  writeFileSync(join(html, 'linking/inner/file'), 'content')
  symlinkSync('inner/file', join(html, 'linking/link'))
  symlinkSync('inner', join(html, 'linking/folder'))
  symlinkSync('nowhere', join(html, 'linking/broken'))
  assert.equal((await ask('COPY', '/linking/', { Destination: '/linked/' })).status, 201)
  assert.deepEqual(readdirSync(join(html, 'linked')).sort(), ['folder', 'inner', 'link'])
  assert.ok(lstatSync(join(html, 'linked/link')).isFile())
  assert.equal(read('linked/folder/file'), 'content')
  assert.match(server.errorLog(), /stat\(\) ".*\/linking\/broken" failed \(2: No such file or directory\)/)
})

test('COPY of a link to a file has the permissions of that file', async () => {
  writeFileSync(join(html, 'private'), 'content', { mode: 0o640 })
  symlinkSync('private', join(html, 'to-private'))
  assert.equal((await ask('COPY', '/to-private', { Destination: '/copied' })).status, 204)
  assert.ok(lstatSync(join(html, 'copied')).isFile())
  assert.equal(statSync(join(html, 'copied')).mode & 0o777, 0o640)
})

test('what cannot be done is logged with the call that failed', async () => {
  const said = (text: RegExp): void => assert.match(server.errorLog(), text)
  writeFileSync(join(html, 'plain'), '')
  assert.equal((await ask('COPY', '/plain', { Destination: '/no/such/file' })).status, 500)
  said(/\[crit\] .* open\(\) ".*\/no\/such\/file" failed \(2: No such file or directory\)/)
  assert.equal((await ask('COPY', '/gone/', { Destination: '/x/' })).status, 404)
  said(/lstat\(\) ".*\/gone\/" failed/)
  symlinkSync('nowhere', join(html, 'hole'))
  assert.equal((await ask('MOVE', '/plain', { Destination: '/hole/in/file' })).status, 500)
  said(/\[crit\] .* mkdir\(\) ".*\/hole\/in\/file" failed/)
})

test('a destination elsewhere, or that leads out, is refused', async () => {
  writeFileSync(join(html, 'source'), '')
  const to = async (destination: string): Promise<number> =>
    (await ask('COPY', '/source', { Destination: destination })).status
  assert.equal((await ask('COPY', '/source')).status, 400)
  for (const bad of [
    'ftp://127.0.0.1/x',
    'http://elsewhere/x',
    'http://localhost',
    'x',
    '/../x',
    '/a/%2e%2e/%2e%2e/x',
    '/a%2f..%2f..%2fx',
    '/x%00',
    '/..',
  ]) {
    assert.equal(await to(bad), 400, bad)
  }
  assert.match(server.errorLog(), /unsafe URI "\/a\/\.\.\/\.\.\/x" was detected/)
  assert.match(server.errorLog(), /client sent invalid "Destination" header: "\/a\/%2e%2e\/%2e%2e\/x"/)
  // A sign that is no encoding goes.
  assert.deepEqual([await to('/odd%'), await to('/odd%zz')], [204, 204])
  assert.deepEqual([existsSync(join(html, 'odd')), existsSync(join(html, 'oddzz'))], [true, true])
  assert.equal(await to('/x/'), 409)
  assert.equal((await ask('COPY', '/nothing', { Destination: '/q' })).status, 404)
  assert.equal((await ask('MOVE', '/source', { Destination: '/x', Depth: '0' })).status, 400)
  assert.equal((await ask('MOVE', '/source', { Destination: '/x', Overwrite: 'maybe' })).status, 400)
})
