// `portico serve --reload` with applications of Node.

import assert from 'node:assert/strict'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { signalTo } from '../helpers/processes.ts'
import { get, raw, request } from '../helpers/raw.ts'
import { serveApp, type Server } from '../helpers/serve.ts'

const FILES = {
  'package.json': '{"type":"module"}',
  'app.ts': `import { word } from './lib/word.ts'\nexport default (): Response => new Response(word)`,
  'lib/word.ts': `export const word: string = 'one'`,
}

/** As editors write: the whole file at once. */
function write(server: Server, name: string, text: string): void {
  writeFileSync(join(server.dir, 'new'), text)
  renameSync(join(server.dir, 'new'), join(server.dir, name))
}

const text = async (server: Server): Promise<string> => (await get(server.port, '/')).text

test('node --reload: what is imported is loaded anew when it changes, and why it cannot be is shown until it can', async t => {
  const server = await serveApp(t, ['--reload', '-w', '2', 'app.ts'], { files: FILES })
  await eventually(async () => (await text(server)) === 'one')
  write(server, 'lib/word.ts', `export const word: string = 'two'`)
  await eventually(async () => (await text(server)) === 'two')
  write(server, 'lib/word.ts', `export const word: string = 'three`)
  await eventually(async () => {
    const answer = await get(server.port, '/')
    return answer.status === 500 && /cannot be loaded[^]*SyntaxError[^]*lib\/word\.ts:1/.test(answer.text)
  })
  write(server, 'lib/word.ts', `throw new Error('a <mistake>')\nexport const word: string = ''`)
  await eventually(async () => /Error: a &lt;mistake&gt;[^]*lib\/word\.ts:1/.test(await text(server)))
  rmSync(join(server.dir, 'lib/word.ts'))
  write(server, 'app.ts', `import { other } from './other.ts'\nexport default () => new Response(other)`)
  await eventually(async () => /Cannot find module[^]*other\.ts/.test(await text(server)))
  write(server, 'other.ts', `export const other: string = 'four'`)
  await eventually(async () => (await text(server)) === 'four')
})

test('node --reload: a further file counts too', async t => {
  const files = { ...FILES, 'page.html': 'first' }
  const source = `import { readFileSync } from 'node:fs'
const page = readFileSync('page.html', 'utf8')
export default (): Response => new Response(page)`
  const args = ['--reload', '--reload-extra-file', '*.html', '-w', '1', 'app.ts']
  const server = await serveApp(t, args, { files: { ...files, 'app.ts': source } })
  await eventually(async () => (await text(server)) === 'first')
  write(server, 'page.html', 'second')
  await eventually(async () => (await text(server)) === 'second')
})

test('node --reload: what has begun is answered by the old code, be it one that ends at once when it is told to', async t => {
  const source = `import { existsSync } from 'node:fs'
import http from 'node:http'
process.on('SIGTERM', () => process.exit(0))
http.createServer((q, s) => {
  const answer = () => s.end('one')
  if (q.url !== '/slow') return answer()
  s.write('begun ')
  const timer = setInterval(() => { if (existsSync('go')) answer(clearInterval(timer)) }, 10)
}).listen(3000)`
  const server = await serveApp(t, ['--reload', '-w', '1', 'app.mjs'], { files: { 'app.mjs': source } })
  await eventually(async () => (await text(server)) === 'one')
  const slow = await raw(t, server.port)
  await slow.send('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
  await slow.until('begun ')
  write(server, 'app.mjs', source.replace(`'one'`, `'two'`))
  await eventually(async () => (await text(server)) === 'two')
  write(server, 'go', '')
  await slow.until('one')
  assert.equal(slow.error, null)
})

test('node --reload: a worker does not go before the front, be it slow, knows that it is to', async t => {
  const source = `require('node:http').createServer((q, s) => {
  let size = 0
  q.on('data', part => (size += part.length)).on('end', () => s.end(String(size)))
}).listen(3000)`
  const server = await serveApp(t, ['--reload', '-w', '1', 'app.cjs'], { files: { 'app.cjs': source } })
  const body = Buffer.alloc(200_000, 'x')
  const post = (): Promise<string> =>
    request({ address: server.port, method: 'POST', path: '/', body }).then(({ status, text }) => `${status} ${text}`)
  const workers = (): number[] =>
    server.processes().flatMap(({ pid, command }) => (/node-worker/.test(command) ? [pid] : []))
  await eventually(async () => (await post()) === '200 200000' && workers().length === 1)
  const [before] = workers()
  const front = server.processes().find(({ command }) => /front/.test(command))!.pid
  signalTo(front, 'SIGSTOP')
  write(server, 'app.cjs', `// changed\n${source}`)
  await eventually(() => workers().length === 2)
  // There is nothing to wait for: it would be gone soon after the other has come.
  await new Promise(resolve => setTimeout(resolve, 1500))
  assert.ok(workers().includes(before!))
  const answer = post()
  signalTo(front, 'SIGCONT')
  assert.equal(await answer, '200 200000')
  await eventually(() => !workers().includes(before!))
})
