// What a file of Node exports: how the kinds of handlers are told apart, and what is said of what is none.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get, request } from '../helpers/raw.ts'
import { serveNode } from './node-file.ts'

for (const [what, file, source] of [
  [
    'a handler that takes whatever comes, under the name adapters give it',
    'a.mjs',
    `const own = (q, s, next) => s.end(next === undefined ? 'own' : 'next')\nexport const handler = async (...args) => own(...args)`,
  ],
  ['the same, bound', 'a.cjs', `exports.handler = ((...args) => args[1].end('own')).bind(null)`],
  ['a handler under the name "listener"', 'a.mjs', `export const listener = (q, s) => void s.end('own')`],
  ['a handler under the name "middleware"', 'a.mjs', `export const middleware = (q, s) => void s.end('own')`],
  [
    'a function with handle(), which answers what nobody does itself',
    'a.cjs',
    `const app = (q, s, next) => s.end(next === undefined ? 'own' : 'next')\napp.handle = app\nmodule.exports = app`,
  ],
  [
    'a function with fetch()',
    'a.mjs',
    `export default Object.assign((...args) => { throw args }, { fetch: () => new Response('own') })`,
  ],
  [
    'a router that takes every name for a route',
    'a.mjs',
    `export default new Proxy({ fetch: () => new Response('own') }, { get: (router, name) => router[name] ?? (() => router) })`,
  ],
  [
    'an object that starts its listener',
    'a.mjs',
    `import http from 'node:http'
const listener = http.createServer((q, s) => s.end('own'))
export default { listener, start: async () => { await new Promise(go => listener.listen(3000, 'localhost', go)) } }`,
  ],
] as const) {
  test(`node exports: ${what} is served`, async t => {
    assert.equal((await get((await serveNode(t, file, source)).port, '/')).text, 'own')
  })
}

for (const [what, file, source, why] of [
  [
    'a class',
    'a.mjs',
    `export default class { fetch() {} }`,
    /it exports a class as "default": export what "new" makes/,
  ],
  [
    'a function that does not tell what it takes',
    'a.mjs',
    `export default (...args) => args[1].end()`,
    /it exports a function as "default" that does not tell what it takes: export \(req, res\) => /,
  ],
  [
    'one that reads "arguments"',
    'a.cjs',
    `module.exports = function () { return arguments[1].end() }`,
    /it exports a function as "default" that does not tell what it takes/,
  ],
  [
    'an event handler',
    'a.mjs',
    `export default Object.assign(event => 'own', { __is_handler__: true })`,
    /an event handler of h3 as "default": export what toNodeListener makes/,
  ],
  [
    'an app of such',
    'a.mjs',
    `export const app = { handler: Object.assign(event => 'own', { __is_handler__: true }), use() {} }`,
    /an app of h3 as "app": export what toNodeListener makes/,
  ],
  [
    'a name nobody looks for',
    'a.cjs',
    `exports.application = (q, s) => s.end()`,
    /it exports "application", but none of default, handler, fetch, app, server/,
  ],
  ['an object', 'a.mjs', `export default { use() {} }`, /"default" has none of fetch, handle, callback and listen/],
] as const) {
  test(`node exports: of ${what} the log says in one line what to export`, async t => {
    const server = await serveNode(t, file, source)
    assert.equal((await get(server.port, '/')).status, 502)
    assert.match(
      server.errorLog(),
      /cannot load "a\.[cm]js": Error: "a\.[cm]js" neither exports a handler nor listens: /,
    )
    assert.match(server.errorLog(), why)
  })
}

test('node exports: what is no application does not keep a program from listening later', async t => {
  const source = `import http from 'node:http'
export default class {}
setTimeout(() => http.createServer((q, s) => s.end('own')).listen(3000), 100)`
  assert.equal((await get((await serveNode(t, 'a.mjs', source)).port, '/')).text, 'own')
})

test('node exports: middleware may hand a request on to nobody, with an error or without', async t => {
  const source = `export default (q, s, next) => {
  if (q.url === '/answered') s.end('own')
  next({ '/error': new Error('own'), '/status': Object.assign(new Error('own'), { status: 418 }) }[q.url])
}`
  const { port } = await serveNode(t, 'a.mjs', source)
  const told = async (path: string): Promise<unknown[]> => {
    const { status, text } = await get(port, path)
    return [status, text]
  }
  assert.deepEqual(await told('/'), [404, 'Not Found\n'])
  assert.deepEqual(await told('/error'), [500, 'Internal Server Error\n'])
  assert.deepEqual(await told('/status'), [418, "I'm a Teapot\n"])
  assert.deepEqual(await told('/answered'), [200, 'own'])
  const head = await request({ address: port, method: 'HEAD', path: '/' })
  assert.deepEqual([head.status, head.header('content-length'), head.text], [404, '10', ''])
})

for (const [what, source] of [
  ['answers with a Response', `export default (request, context) => new Response('own')`],
  ['promises a Response', `export default async (request, context) => new Response('own')`],
] as const) {
  test(`node exports: of a function of two parameters that ${what} the log tells, and nobody waits`, async t => {
    const server = await serveNode(t, 'a.mjs', source)
    assert.equal((await get(server.port, '/')).status, 500)
    const told =
      '"a.mjs" exports a function of two parameters as "default", which is called as (req, res): one that takes'
    await eventually(() => server.errorLog().includes(told))
  })
}

test('node exports: of one that stumbles over its Request the log tells before its error ends the process', async t => {
  const source = `export default async (request, context) => Response.json(new URL(request.url).pathname)`
  const server = await serveNode(t, 'a.mjs', source)
  assert.equal((await get(server.port, '/')).status, 502)
  await eventually(() => server.errorLog().includes('which is called as (req, res)'))
})
