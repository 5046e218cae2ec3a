// Somebody tidies up. The folder for temporary files, and the sockets of workers with it: they live on, and nobody reaches them. Or
// an old release, whose application is running.

import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, processTree, serve, signalTo } from '../helpers/index.ts'

const CONF = `
http {
    app one { module one.mjs; directory %%DIR%%; workers 1; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { app_pass one; }
        location = /up { return 200 up; }
    }
}
`

test('a Node worker whose socket has been removed is replaced', async t => {
  const files = {
    'one.mjs':
      "import http from 'node:http'\nhttp.createServer((q, s) => s.end(String(process.pid))).listen(process.env.PORT)\n",
  }
  const server = await serve(t, { conf: `error_log error.log notice;${CONF}`, files })
  // No request has come to it, and no connection is open.
  await eventually(() => sockets(server.dir).length === 1)
  assert.equal((await get(server.port, '/up')).text, 'up')
  for (const path of sockets(server.dir)) rmSync(path)
  assert.equal((await get(server.port)).status, 200)
})

test('a front that dies comes back though the folder of an application has been removed since', async t => {
  const conf = `error_log error.log notice;${CONF.replace('%%DIR%%;', '%%DIR%%/old;')}`
  const files = {
    'old/one.mjs': "import http from 'node:http'\nhttp.createServer(() => {}).listen(process.env.PORT)\n",
  }
  const server = await serve(t, { conf, files })
  await eventually(() => sockets(server.dir).length === 1)
  rmSync(join(server.dir, 'old'), { recursive: true })
  const front = processTree(server.pid).find(one => one.command.includes('front process'))!
  signalTo(front.pid, 'SIGKILL')
  await eventually(() => !processTree(server.pid).some(one => one.pid === front.pid))
  assert.equal((await get(server.port, '/up')).text, 'up')
})

function sockets(dir: string): string[] {
  const folder = join(dir, 'tmp')
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.sock'))
  return names.map(name => join(folder, name))
}
