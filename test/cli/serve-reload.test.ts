// New code under `portico serve`: by itself with --reload, its errors in the browser; and at a HUP, worker by worker and without a
// request lost, or not at all.

import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, load, needs, PYTHON, serveApp } from '../helpers/index.ts'
import type { Response, Server } from '../helpers/index.ts'
import { runServe } from './serve-command.ts'

const env = { PORTICO_PYTHON: PYTHON }

const app = (text: string, more = ''): string => `${more}
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'${text}']
`

function write(server: Server, name: string, text: string): void {
  writeFileSync(join(server.dir, name), text)
}

async function answers(server: Server, text: string): Promise<number> {
  const begun = performance.now()
  await eventually(async () => (await get(server.port)).text.includes(text))
  return Math.round(performance.now() - begun)
}

/** The thread of the old code takes connections until it hears of the new one's start, which is a moment later. */
async function onlyAnswers(server: Server, text: string): Promise<void> {
  await eventually(async () => {
    for (let i = 0; i < 20; i++) if ((await get(server.port)).text !== text) return false
    return true
  })
}

test('--reload: a change reaches users within a second, and a mistake is shown until it is mended', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--reload', '-w', '2', 'app:app'], { files: { 'app.py': app('one') }, env })
  await answers(server, 'one')
  write(server, 'app.py', app('two'))
  t.diagnostic(`the change was there after ${await answers(server, 'two')} ms`)
  write(server, 'app.py', 'import os\ndef app(:\n')
  await eventually(async () => (await get(server.port)).status === 500)
  const page = await get(server.port)
  assert.match(page.header('content-type')!, /^text\/html/)
  assert.match(page.text, /<h1>The application cannot be loaded<\/h1>[^]*SyntaxError[^]*app\.py[^]*line 2/)
  await eventually(() => /\[error\] .*cannot load "app:app": importing it failed: SyntaxError/.test(server.output))
  write(server, 'app.py', app('three'))
  await answers(server, 'three')
  // Not only syntax: a module that is missing, until somebody writes it.
  write(server, 'app.py', app('four', 'import later'))
  await answers(server, 'No module named')
  write(server, 'later.py', '')
  await answers(server, 'four')
})

test('--reload: modules that are imported late, and further files, are watched too', async t => {
  if (!needs(t, 'python3')) return
  const lazy = `import os
def app(environ, start_response):
    import late
    start_response('200 OK', [])
    return [late.TEXT.encode() + open('words.txt', 'rb').read() + b' %d' % os.getpid()]
`
  const pidIn = (answer: Response): string => answer.text.split(' ')[1]!
  const files = { 'app.py': lazy, 'late.py': 'TEXT = "a"', 'words.txt': '1' }
  const server = await serveApp(t, ['--reload', '--reload-extra-file', '*.txt', 'app:app'], { files, env })
  await answers(server, 'a1')
  // The watcher has to see a module before it can see it change: until then a change is not news to it.
  for (let i = 0; i < 20 && !(await get(server.port)).text.startsWith('b'); i++) {
    write(server, 'late.py', 'TEXT = "b"')
    await eventually(async () => (await get(server.port)).text.startsWith('b'), 1500).catch(() => {})
  }
  await answers(server, 'b1')
  // The application reads this one at each request, so that only its process tells that it was loaded anew.
  const before = pidIn(await get(server.port))
  write(server, 'words.txt', '2')
  await eventually(async () => pidIn(await get(server.port)) !== before)
})

test('--reload: an ASGI application that cannot be loaded says so as well', async t => {
  if (!needs(t, 'python3')) return
  const asgi = (text: string): string => `async def app(scope, receive, send):
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'${text}'})
`
  const files = { 'app.py': `raise ValueError("<not> yet")\n${asgi('a')}` }
  const server = await serveApp(t, ['--reload', '-k', 'asgi', 'app:app'], { files, env })
  await answers(server, 'ValueError: &lt;not&gt; yet')
  assert.equal((await get(server.port)).status, 500)
  write(server, 'app.py', asgi('fine'))
  await answers(server, 'fine')
})

test('HUP rolls the new code in without a request lost, and keeps the old where the new does not import', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['-w', '3', 'app:app'], { files: { 'app.py': app('one') }, env })
  await answers(server, 'one')
  const working = load(server.port, { connections: 6, seconds: 5 })
  write(server, 'app.py', app('two'))
  server.signal('SIGHUP')
  await onlyAnswers(server, 'two')
  write(server, 'app.py', 'import nothing_like_it\n')
  server.signal('SIGHUP')
  await eventually(() => /the old configuration stays: .*nothing_like_it/.test(server.output))
  assert.equal((await get(server.port)).text, 'two')
  write(server, 'app.py', app('three'))
  server.signal('SIGHUP')
  await answers(server, 'three')
  const { lost, errors, statuses } = await working
  assert.deepEqual([lost, errors, Object.keys(statuses)], [0, {}, ['200']])
})

for (const [how, options] of [
  ['HUP', []],
  ['HUP, loaded once', ['--preload']],
  ['--reload', ['--reload']],
] as const) {
  test(`${how}: code that is never done loading is given up for what comes after it`, async t => {
    if (!needs(t, 'python3')) return
    const server = await serveApp(t, [...options, 'app:app'], { files: { 'app.py': app('one') }, env })
    await answers(server, 'one')
    write(server, 'app.py', app('two', "import time\nopen('begun', 'w').close()\ntime.sleep(1000)"))
    if (how !== '--reload') server.signal('SIGHUP')
    await eventually(() => existsSync(join(server.dir, 'begun')))
    assert.equal((await get(server.port)).text, 'one')
    write(server, 'app.py', app('three'))
    if (how !== '--reload') server.signal('SIGHUP')
    await answers(server, 'three')
  })
}

test('a further file is there already, and a pattern may find its files later', t => {
  if (!needs(t, 'python3')) return
  const said = (file: string): string =>
    runServe(t, ['--check-config', '--reload-extra-file', file, 'hello'], { 'a.txt': '' }).stderr
  assert.match(said('b.txt'), /invalid value "b\.txt" for --reload-extra-file: there is no such file\n$/)
  assert.match(said('*.md'), /^portico serve: there is no file yet like "\*\.md"\n.*is loaded/)
  for (const file of ['a.txt', '*.txt']) assert.match(said(file), /^portico serve: "hello" is loaded/)
})
