import assert from 'node:assert/strict'
import {
  chownSync,
  constants,
  lchownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import test, { after } from 'node:test'
import { Worker } from 'node:worker_threads'
import { openFile } from '../../../src/http/files/open-file.ts'
import { NO_LINKS, openGuarded } from '../../../src/http/files/symlinks.ts'
import { request, tempDir } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const file = { after }
const rules = { off: 'off', on: 'on from=$document_root', if_not_owner: 'if_not_owner from=$document_root' }
const server = await serveHttp(
  file,
  [
    ...Object.entries(rules).map(([name, rule]) => `location /${name}/ { alias html/; disable_symlinks ${rule}; }`),
    `location /strict/ { alias linked/html/; disable_symlinks on; }
     location /listed/ { alias html/; disable_symlinks on from=$document_root; autoindex on; }
     location /tried/ { alias html/; disable_symlinks on from=$document_root; try_files $uri =404; }
     location /random/ { alias html/; disable_symlinks on from=$document_root; random_index on; }
     location /tested/ { alias html/; disable_symlinks on from=$document_root; if (-f $request_filename) { return 299; } }
     location /cached/ {
       alias html/;
       open_file_cache max=10;
       location /cached/free/ { alias html/; }
       location /cached/safe/ { alias html/; disable_symlinks on from=$document_root; }
     }
     location /twin/ { alias html/; disable_symlinks on from=$document_root; gzip_static always; }
     location /from-nothing/ { alias html/; disable_symlinks on from=$arg_none; }`,
  ].join('\n'),
  '',
  {
    files: { 'html/plain': 'plain', 'html/real/index.html': 'page', 'html/twinned': 'plain', 'secret/file': 'secret' },
  },
)
const html = join(server.dir, 'html')
symlinkSync('../secret/file', join(html, 'link'))
symlinkSync('../secret', join(html, 'folder'))
symlinkSync('.', join(server.dir, 'linked'))
symlinkSync('../secret/file', join(html, 'twinned.gz'))
mkdirSync(join(html, 'indexed'))
symlinkSync('../../secret/file', join(html, 'indexed/index.html'))
mkdirSync(join(html, 'only'))
symlinkSync('../../secret/file', join(html, 'only/x'))

async function ask(path: string): Promise<string> {
  const { status, text } = await request({ address: server.port, path })
  return status === 200 ? text : `${status}`
}

test('off follows links, on follows none', async () => {
  assert.equal(await ask('/off/link'), 'secret')
  assert.equal(await ask('/off/folder/file'), 'secret')
  assert.equal(await ask('/on/plain'), 'plain')
  assert.equal(await ask('/on/link'), '403')
  assert.match(server.errorLog(), /openat\(\) ".*\/html\/link" failed \(40: Too many levels of symbolic links\)/)
  // Whether a name within a path is a link is not told apart from one that is no folder, as in nginx.
  assert.equal(await ask('/on/folder/file'), '404')
  assert.equal(await ask('/on/folder'), '403')
  assert.equal(await ask('/on/real'), '301')
  assert.equal(await ask('/on/real/'), 'page')
  assert.equal(await ask('/on/missing'), '404')
})

test('if_not_owner follows a link to what is of the same owner', async t => {
  assert.equal(await ask('/if_not_owner/link'), 'secret')
  assert.equal(await ask('/if_not_owner/folder/file'), 'secret')
  if (process.getuid?.() !== 0) {
    t.diagnostic('only root can make files of others')
    return
  }
  lchownSync(join(html, 'link'), 65534, 65534)
  assert.equal(await ask('/if_not_owner/link'), '403')
  chownSync(join(server.dir, 'secret/file'), 65534, 65534)
  assert.equal(await ask('/if_not_owner/link'), 'secret')
  lchownSync(join(html, 'folder'), 65534, 65534)
  assert.equal(await ask('/if_not_owner/folder/file'), '403')
  chownSync(join(server.dir, 'secret/file'), 0, 0)
})

test('from= names the part that is trusted', async () => {
  assert.equal(await ask('/strict/plain'), '404')
  assert.equal(await ask('/from-nothing/plain'), 'plain')
  assert.equal(await ask('/from-nothing/link'), '403')
})

test('all that look at files mind links: index, try_files, if, listings, twins', async () => {
  assert.equal(await ask('/on/indexed/'), '403')
  assert.equal(await ask('/off/indexed/'), 'secret')
  assert.equal(await ask('/tried/plain'), 'plain')
  assert.equal(await ask('/tried/link'), '404')
  assert.equal(await ask('/tested/plain'), '299')
  assert.equal(await ask('/tested/link'), '403')
  assert.equal(await ask('/listed/folder/'), '404')
  // A link is shown as what it is, not as what it leads to.
  const listing = await ask('/listed/only/')
  assert.match(listing, /href="x">x<\/a> +\S+ \S+ +17\r\n/)
  assert.equal(await ask('/random/only/'), '403')
  assert.notEqual(await ask('/twin/twinned'), 'secret')
})

test('a cached file is not served to a location that minds links more', async () => {
  assert.equal(await ask('/cached/free/link'), 'secret')
  assert.equal(await ask('/cached/safe/link'), '403')
  assert.equal(await ask('/cached/free/link'), 'secret')
  assert.equal(await ask('/cached/safe/plain'), 'plain')
})

test('no descriptor is lost, whichever way it goes', () => {
  const before = readdirSync('/proc/self/fd').length
  for (const name of ['plain', 'link', 'folder/file', 'missing', 'missing/x', 'real/', 'plain/', 'plain/x', '', '.']) {
    openFile(join(html, name), NO_LINKS, 0)
    openFile(`${html}/${name}`, NO_LINKS, html.length)
  }
  assert.equal(readdirSync('/proc/self/fd').length, before)
})

test('a link slipped in between two looks is not followed', async t => {
  const dir = tempDir(t)
  for (const name of ['www/folder', 'www/spare', 'secret']) mkdirSync(join(dir, name), { recursive: true })
  writeFileSync(join(dir, 'www/folder/file'), 'public')
  writeFileSync(join(dir, 'secret/file'), 'secret')
  const swap = `
    const { renameSync, symlinkSync, rmSync } = require('node:fs')
    const { parentPort, workerData: dir } = require('node:worker_threads')
    const stop = new Int32Array(new SharedArrayBuffer(4))
    parentPort.postMessage(stop)
    while (Atomics.load(stop, 0) === 0) {
      renameSync(dir + '/www/folder', dir + '/www/aside')
      symlinkSync('../secret', dir + '/www/folder')
      rmSync(dir + '/www/folder')
      renameSync(dir + '/www/aside', dir + '/www/folder')
    }`
  const worker = new Worker(swap, { eval: true, workerData: dir })
  const stop = await new Promise<Int32Array>(resolve => worker.once('message', resolve))
  const seen = new Map<string, number>()
  const begun = performance.now()
  const elapsed = (): number => performance.now() - begun
  // Both states of the folder must have been met, which is a matter of chance.
  while (elapsed() < 1500 || (elapsed() < 30_000 && !(seen.has('public') && seen.has('ENOTDIR')))) {
    const { text, code } = openFile(join(dir, 'www/folder/file'), NO_LINKS, dir.length)
    const what = text ?? code
    seen.set(what, (seen.get(what) ?? 0) + 1)
  }
  Atomics.store(stop, 0, 1)
  await new Promise(resolve => worker.once('exit', resolve))
  assert.equal(seen.get('secret'), undefined)
  assert.ok(seen.has('public') && seen.has('ENOTDIR'), [...seen].join(' '))
})

test('a path that is relative begins where the program is', () => {
  const path = relative(process.cwd(), join(html, 'plain'))
  for (const trusted of [0, path.lastIndexOf('/')]) {
    const { text, code } = openFile(path, NO_LINKS, trusted)
    assert.deepEqual([text, code], ['plain', ''])
  }
})

test('a folder that is moved while it is walked through stays the one that was opened', t => {
  const dir = tempDir(t)
  mkdirSync(join(dir, 'a/b'), { recursive: true })
  writeFileSync(join(dir, 'a/b/file'), 'x')
  const folder = openGuarded(join(dir, 'a/b'), NO_LINKS, 0, constants.O_RDONLY)
  renameSync(join(dir, 'a'), join(dir, 'c'))
  assert.deepEqual(readdirSync(`/proc/self/fd/${folder}`), ['file'])
  rmSync(join(dir, 'c'), { recursive: true })
})
