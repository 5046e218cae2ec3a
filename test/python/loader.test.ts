// What can be called with too few arguments is no application: a factory, or something of another kind.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import { get } from '../helpers/raw.ts'
import { serveApp } from '../helpers/serve.ts'
import { Zygote, serve } from './front.ts'

const APPS = join(import.meta.dirname, 'apps')

const FACTORY = /^"odd:create_\w+" takes no arguments, and a WSGI .* say "odd:create_\w+\(\)"$/
const CALLED = /^"odd:\w+" is taken for a factory and called, "odd:\w+\(\)" says so$/
const NO_WSGI = /^"odd:\w+" does not take the two arguments that a WSGI application is given$/
const NO_ASGI = /^"odd:\w+" does not take the three arguments that an ASGI application is given$/

for (const [kind, module, notice] of [
  ['sync', 'odd:create_wsgi_app', FACTORY],
  ['sync', 'odd:create_wsgi_app()', null],
  ['sync', 'odd:hello', null],
  ['sync', 'odd:wrapped', null],
  ['sync', 'odd:shop.hello', null],
  ['sync', 'odd:one_argument', NO_WSGI],
  ['threads', 'odd:create_app', FACTORY],
  ['asgi', 'odd:create_app', CALLED],
  ['asgi', 'odd:create_app()', null],
  ['asgi', 'odd:Asynchronous', CALLED],
  ['asgi', 'odd:asynchronous', null],
  ['asgi', 'odd:itself', NO_ASGI],
  ['asgi', 'odd:create_later', NO_ASGI],
  ['asgi', 'odd:of_its_own', /^"odd:of_its_own" is no ASGI application: tornado has a server of its own, which runs /],
  ['sync', 'odd:of_its_own', /a WSGI application is given: tornado has a server of its own, which runs by itself, /],
] as const) {
  test(`loader: "${module}" for workers of kind ${kind} ${notice === null ? 'is an application' : 'is told of'}`, async t => {
    const zygote = new Zygote(t, { module, kind, preload: true })
    if (notice !== null) assert.match((await zygote.next('log')).message, notice)
    await zygote.next('ready')
  })
}

test('loader: a factory that fails where nobody has called it says what a call would', async t => {
  const zygote = new Zygote(t, { module: 'odd:create_badly', kind: 'asgi' })
  assert.match((await zygote.next('failed')).error, /calling odd:create_badly\(\) failed: RuntimeError: made badly \(/)
  assert.deepEqual(await zygote.exited, [4, null])
})

test('loader: a coroutine without arguments is not said to be an ASGI application', async t => {
  const zygote = new Zygote(t, { module: 'odd:create_later', kind: 'sync', preload: true })
  const { error } = await zygote.next('failed')
  assert.match(error, /: an "async def" without arguments is no application of WSGI nor of ASGI$/)
})

test('loader: an ASGI factory without parentheses is served', async t => {
  const files = { 'odd.py': readFileSync(join(APPS, 'odd.py'), 'latin1') }
  for (const [module, text] of [
    ['odd:create_app', 'made'],
    ['odd:Asynchronous', 'object'],
  ] as const) {
    const server = await serveApp(t, ['-k', 'uvicorn.workers.UvicornWorker', module], { files })
    assert.equal((await get(server.port, '/')).text, text)
    assert.match(server.output, /is taken for a factory and called/)
  }
})

test('zygote: a collector that cannot freeze, as PyPy’s, is none the worse for it', async t => {
  const { front } = await serve(t, { module: 'unfrozen' })
  assert.equal((await front.get()).body, 'Hello, World!\n')
})
