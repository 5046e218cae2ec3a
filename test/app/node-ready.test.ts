// wait_ready: a program that listens before it can serve gets requests when it says that it can.

import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get } from '../helpers/raw.ts'
import { serveNode } from './node-file.ts'

/** It can serve when there is a file "go" beside it. */
const SOURCE = `const fs = require('node:fs')
let text = 'coming'
require('node:http').createServer((q, s) => s.end(text + ' ' + process.pid)).listen(3000, () => {
  console.error('listens, ' + process.pid)
  const timer = setInterval(() => {
    if (!fs.existsSync('go')) return
    clearInterval(timer)
    text = 'own'
    process.send(MESSAGE)
  }, 10)
})`

for (const message of [`'ready'`, '{ ready: true, debug: {} }']) {
  test(`node wait_ready: requests wait, and a reload leaves the old worker, until a program has said ${message}`, async t => {
    const server = await serveNode(t, 'a.cjs', SOURCE.replace('MESSAGE', message), 'workers 1; wait_ready on;')
    const go = join(server.dir, 'go')
    const listening = (): number => server.output.split('listens, ').length - 1
    await eventually(() => listening() === 1)
    const first = get(server.port, '/')
    writeFileSync(go, '')
    const before = (await first).text
    assert.match(before, /^own \d+$/)
    rmSync(go)
    server.signal('SIGHUP')
    await eventually(() => listening() === 2)
    for (let i = 0; i < 3; i++) assert.equal((await get(server.port, '/')).text, before)
    writeFileSync(go, '')
    await eventually(async () => {
      const now = (await get(server.port, '/')).text
      assert.match(now, /^own/)
      return now !== before
    })
  })
}
