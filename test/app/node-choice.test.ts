// Which of a Node program's servers is the application, and what the log says where that is not clear.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get } from '../helpers/raw.ts'
import { serveApp, type Server } from '../helpers/serve.ts'
import { serveNode } from './node-file.ts'

const text = async (server: Server): Promise<string> => (await get(server.port, '/')).text

for (const first of ['0', 'Number(process.env.FIRST)']) {
  test(`node choice: of servers on two ports (${first}) the log tells once which gets the requests`, async t => {
    const source = `import http from 'node:http'
http.createServer((q, s) => s.end('first')).listen(${first}, '127.0.0.1')
http.createServer((q, s) => s.end('second')).listen(Number(process.env.SECOND), '127.0.0.1')`
    const ports = 'environment FIRST=%%PORT_1%%; environment SECOND=%%PORT_2%%;'
    const server = await serveNode(t, 'a.mjs', source, `workers 2; ${ports}`)
    assert.equal(await text(server), 'first')
    const where = first === '0' ? 'a free port' : `port ${server.ports[1]}`
    const second = server.ports[2]!
    const told = `"a.mjs" listens on ${where} and on port ${second}: requests go to the first; with PORT=${second} in`
    await eventually(() => server.errorLog().includes(told))
    assert.equal(server.errorLog().split('requests go to the first').length, 2)
  })
}

test('node choice: where PORT says which, or the file exports it, there is nothing to tell', async t => {
  const listens = `http.createServer((q, s) => s.end('first')).listen(Number(process.env.FIRST), '127.0.0.1')\n`
  const chosen = await serveNode(
    t,
    'a.mjs',
    `import http from 'node:http'
${listens}http.createServer((q, s) => s.end('second')).listen(3456)`,
    'workers 1; environment FIRST=%%PORT_1%%; environment PORT=3456;',
  )
  assert.equal(await text(chosen), 'second')
  const exported = await serveNode(
    t,
    'a.mjs',
    `import http from 'node:http'
setTimeout(() => { ${listens} }, 50)
export default (q, s) => s.end('exported')`,
    'workers 1; environment FIRST=%%PORT_1%%;',
  )
  await eventually(async () => (await get(exported.ports[1]!, '/').catch(() => null))?.text === 'first')
  assert.equal(await text(exported), 'exported')
  for (const server of [chosen, exported]) assert.doesNotMatch(server.errorLog(), /listens on/)
})

for (const [speech, source] of [
  ['TLS', `import https from 'node:https'\nhttps.createServer(`],
  ['HTTP/2', `import http2 from 'node:http2'\nhttp2.createServer(`],
] as const) {
  test(`node choice: that nobody asks a server with ${speech} the log tells at once`, async t => {
    const server = await serveNode(
      t,
      'a.mjs',
      `${source}).listen(Number(process.env.OWN))`,
      'workers 1; environment OWN=%%PORT_1%%;',
    )
    const told = `"a.mjs" listens with ${speech} on ${server.ports[1]}: it gets no requests`
    await eventually(() => server.errorLog().includes(told))
  })
}

test('node choice: with -k node "serve" runs a program whose name does not tell that it is one', async t => {
  const files = {
    'bin/www': `#!/usr/bin/env node\nrequire('node:http').createServer((q, s) => s.end('own')).listen(3456)`,
  }
  const server = await serveApp(t, ['-k', 'node', '-w', '1', 'bin/www'], { files })
  await eventually(async () => (await text(server)) === 'own')
})
