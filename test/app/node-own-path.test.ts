// A program that listens on a Unix socket of its own, as those do that stand behind a server on the same machine.

import assert from 'node:assert/strict'
import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { get } from '../helpers/raw.ts'
import { serveNode } from './node-file.ts'

for (const listen of [`listen('own.sock', `, `listen({ path: 'own.sock' }, `]) {
  test(`node: the socket that ${listen}…) asks for is there, can be given a mode, and leads to the program`, async t => {
    const server = await serveNode(
      t,
      'a.cjs',
      `const fs = require('node:fs')
const http = require('node:http')
fs.rmSync('own.sock', { force: true })
const server = http.createServer((request, response) => {
  if (request.url !== '/self') response.end(server.address())
  else http.get({ socketPath: 'own.sock', path: '/' }, answer => answer.pipe(response))
}).${listen}() => fs.chmodSync('own.sock', 0o777))`,
    )
    assert.equal((await get(server.port, '/')).text, 'own.sock')
    assert.equal((await get(server.port, '/self')).text, 'own.sock')
    const path = join(server.dir, 'own.sock')
    assert.ok(lstatSync(path).isSymbolicLink())
    await server.stop()
    assert.ok(!existsSync(path))
    assert.throws(() => lstatSync(path), { code: 'ENOENT' })
  })
}
