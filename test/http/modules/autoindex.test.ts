import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { request, type Response } from '../../helpers/index.ts'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'
import type { Scope } from '../../helpers/scope.ts'

const LONG = 'l'.repeat(60)
const TIME = new Date('2001-02-03T04:05:06Z')

async function folder(t: Scope, directives: string): Promise<HttpServer> {
  const files = { 'd/b <&>.txt': 'x'.repeat(12_345), 'd/a': 'aa', [`d/${LONG}`]: '', 'd/.hidden': '', 'd/\u00e4': '1' }
  const server = await serveHttp(t, `root .; charset utf-8; autoindex on; ${directives}`, '', { files })
  mkdirSync(join(server.dir, 'd/sub'))
  symlinkSync('nowhere', join(server.dir, 'd/link'))
  for (const name of ['b <&>.txt', 'a', LONG, 'sub', '\u00e4']) utimesSync(join(server.dir, 'd', name), TIME, TIME)
  return server
}

function ask({ port }: HttpServer, path = '/d/'): Promise<Response> {
  return request({ address: port, path })
}

test('html: folders first, names escaped and cut, sizes to the byte', async t => {
  const response = await ask(await folder(t, ''))
  assert.equal(response.header('content-type'), 'text/html; charset=utf-8')
  const lines = response.text.split('\r\n')
  assert.equal(lines[1], '<head><title>Index of /d/</title></head>')
  assert.equal(lines[4], `<a href="sub/">sub/</a>${' '.repeat(46)} 03-Feb-2001 04:05                   -`)
  assert.equal(lines[5], `<a href="a">a</a>${' '.repeat(49)} 03-Feb-2001 04:05                   2`)
  assert.match(lines[6]!, /^<a href="b%20%3C%26%3E.txt">b &lt;&amp;&gt;.txt<\/a> {41} 03-Feb-2001 04:05 {15}12345$/)
  assert.match(lines[7]!, /^<a href="link">link<\/a>/)
  assert.ok(lines[8]!.startsWith(`<a href="${LONG}">${LONG.slice(0, 47)}..&gt;</a> 03`))
  assert.ok(lines[9]!.startsWith(`<a href="%C3%A4">\u00e4</a>${' '.repeat(49)} 03`))
  assert.doesNotMatch(response.text, /hidden/)
})

test('html: autoindex_exact_size off rounds', async t => {
  const { text } = await ask(await folder(t, 'autoindex_exact_size off;'))
  assert.match(text, /04:05 {5}12K\r\n/)
  assert.match(text, /04:05 {7}2\r\n/)
  assert.match(text, /04:05 {7}-\r\n/)
})

test('json and jsonp', async t => {
  const server = await folder(t, 'autoindex_format jsonp;')
  const plain = await ask(server)
  assert.equal(plain.header('content-type'), 'application/json')
  const entries = JSON.parse(plain.text) as Record<string, unknown>[]
  assert.deepEqual(entries[0], { name: 'sub', type: 'directory', mtime: 'Sat, 03 Feb 2001 04:05:06 GMT' })
  assert.deepEqual(entries[1], { name: 'a', type: 'file', mtime: 'Sat, 03 Feb 2001 04:05:06 GMT', size: 2 })
  assert.equal(entries.find(({ name }) => name === 'link')!['type'], 'other')
  const called = await ask(server, '/d/?callback=a.b_1')
  assert.equal(called.header('content-type'), 'application/javascript; charset=utf-8')
  assert.ok(called.text.startsWith('/* callback */\r\na.b_1([\r\n{ "name":"sub"'))
  assert.equal((await ask(server, '/d/?callback=alert(1)')).status, 400)
})

test('xml', async t => {
  const response = await ask(await folder(t, 'autoindex_format xml;'))
  assert.equal(response.header('content-type'), 'text/xml; charset=utf-8')
  assert.match(response.text, /<directory mtime="2001-02-03T04:05:06Z">sub<\/directory>/)
  assert.match(response.text, /<file mtime="2001-02-03T04:05:06Z" size="12345">b &lt;&amp;&gt;.txt<\/file>/)
})

test('a folder that is not there is not listed, and other methods go on', async t => {
  const server = await folder(t, '')
  assert.equal((await ask(server, '/none/')).status, 404)
  assert.match(server.errorLog(), /open\(\)|opendir\(\)|is not found/)
  assert.equal((await request({ address: server.port, path: '/d/', method: 'POST' })).status, 403)
})

test('random_index gives any of the files and never a folder', async t => {
  const server = await serveHttp(t, 'root .; location /r/ { random_index on; }', '', {
    files: { 'r/one': '1', 'r/two': '2', 'r/.three': '3', 'r/four/x': '4' },
  })
  const seen = new Set<string>()
  for (let i = 0; i < 40; i++) seen.add((await ask(server, '/r/')).text)
  assert.deepEqual([...seen].sort(), ['1', '2'])
})
