// Applications beside the front: started with it, taken over by reloads, and gone with it.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import { eventually, get, load, serve } from '../helpers/index.ts'
import type { Server } from '../helpers/serve.ts'

const conf = `
http {
    access_log off;
    app hello { directory %%DIR%%; module hello:application; workers 2; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { app_pass hello; }
    }
}`

function application(word: string): string {
  return `
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'${word}']
`
}

async function said(server: Server): Promise<string> {
  return (await get(server.port)).body.toString()
}

test('a request that comes before the application is loaded is answered by it', async t => {
  const server = await serve(t, { conf, files: { 'hello.py': `import time; time.sleep(0.5)\n${application('one')}` } })
  assert.equal(await said(server), 'one')
})

test('a reload takes the new application over without losing a request', async t => {
  const server = await serve(t, { conf, files: { 'hello.py': application('one') } })
  const check = ({ body }: { body: Buffer }): string | null => (/^(?:one|two)$/.test(body.toString()) ? null : 'body')
  assert.equal(await said(server), 'one')
  const loading = load(server.port, { connections: 4, seconds: 3, check })
  writeFileSync(join(server.dir, 'hello.py'), application('two'))
  await server.reload()
  await eventually(async () => (await said(server)) === 'two')
  const result = await loading
  assert.deepEqual([result.lost, result.errors, result.wrong], [0, {}, {}])
  assert.deepEqual(Object.keys(result.statuses), ['200'])
})

test('a reload whose application cannot be loaded changes nothing', async t => {
  const server = await serve(t, { conf, files: { 'hello.py': application('one') } })
  assert.equal(await said(server), 'one')
  writeFileSync(join(server.dir, 'hello.py'), 'import no_such_module\n')
  await server.reload()
  await eventually(() => /\[error\] .*the old configuration stays: .*no_such_module/.test(server.errorLog()))
  assert.equal(await said(server), 'one')
})

test('a front that is killed finds the application again', async t => {
  const server = await serve(t, { conf, files: { 'hello.py': application('one') } })
  assert.equal(await said(server), 'one')
  const front = server.processes().find(one => one.parent === server.pid && /front/.test(one.command))
  process.kill(front!.pid, 'SIGKILL')
  await eventually(async () => (await said(server)) === 'one')
})

test('a stop right behind a reload waits for the workers of before, too', async t => {
  const slowToEnd = `
import atexit, time
atexit.register(lambda: (time.sleep(0.5), open('ended', 'a').write('one\\n')))
`
  const server = await serve(t, { conf, files: { 'hello.py': slowToEnd + application('one') } })
  assert.equal(await said(server), 'one')
  writeFileSync(join(server.dir, 'hello.py'), application('two'))
  await server.reload()
  // Its thread has gone, its workers are about to.
  await eventually(() => /worker process 1 exited with code 0/.test(server.errorLog()))
  await server.stop()
  assert.equal(server.errorLog().match(/app "hello": worker process \d+ exited with code 0/g)?.length, 4)
  assert.match(server.file('ended'), /^one\none\n/)
})
