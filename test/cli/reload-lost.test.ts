// An application that cannot be loaded from the start does not keep others from being loaded anew.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import { eventually, get, serve } from '../helpers/index.ts'
import type { Server } from '../helpers/serve.ts'

const conf = `
http {
    access_log off;
    app well { directory %%DIR%%; module well:application; workers 1; }
    app ill { directory %%DIR%%; module ill:application; workers 1; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /well { app_pass well; }
        location /ill { app_pass ill; }
    }
}`

function application(word: string): string {
  return `
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'${word}']
`
}

async function said(server: Server, path: string): Promise<string> {
  const { status, body } = await get(server.port, path)
  return status === 200 ? body.toString() : `${status}`
}

test('one application is loaded anew though another cannot be loaded, and never could', async t => {
  const files = { 'well.py': application('one'), 'ill.py': 'import no_such_module\n' }
  const server = await serve(t, { conf, files })
  const tell = (name: string, text: string): void => writeFileSync(join(server.dir, name), text)
  assert.equal(await said(server, '/well'), 'one')
  assert.equal(await said(server, '/ill'), '502')

  tell('well.py', application('two'))
  await server.reload()
  await eventually(async () => (await said(server, '/well')) === 'two')
  assert.equal(await said(server, '/ill'), '502')
  assert.doesNotMatch(server.errorLog(), /the old configuration stays/)

  tell('ill.py', application('better'))
  await server.reload()
  await eventually(async () => (await said(server, '/ill')) === 'better')

  // From now on it has something to lose.
  tell('ill.py', 'import no_such_module\n')
  tell('well.py', application('three'))
  await server.reload()
  await eventually(() => /the old configuration stays: .*no_such_module/.test(server.errorLog()))
  assert.equal(await said(server, '/ill'), 'better')
  assert.equal(await said(server, '/well'), 'two')
})
