// The checkout itself, whose files Node strips of their types: all that is started as a program or thread of its own. The
// other tests start the program as it is packaged where `npm test` runs them.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import { CHECKOUT, eventually, get, needs, PYTHON, serve } from '../helpers/index.ts'

test('the checkout’s launcher runs the source: front, threads, workers of both languages, password threads', async t => {
  if (!needs(t, 'python3')) return
  const conf = (answer: string): string => `worker_processes 2; http {
    app a { directory %%DIR%%; module a:application; python ${PYTHON}; workers 1; }
    app b { directory %%DIR%%; module ./b.mjs; workers 1; }
    server {
      listen 127.0.0.1:%%PORT_0%%;
      location /return { return 200 ${answer}; }
      location /a { app_pass a; }
      location /b { app_pass b; }
      location /secret { auth_basic x; auth_basic_user_file users; }
    }
  }`
  const files = {
    'a.py': 'def application(environ, start):\n    start("200 OK", [])\n    return [b"python"]\n',
    'b.mjs': 'export default (q, s) => s.end("node")',
    'html/secret': 'told',
    users: 'a:$1$salt$ez2vlPGdaLYkJam5pWs/Y1',
  }
  const server = await serve(t, { conf: conf('one'), files, program: CHECKOUT })
  const text = async (path: string): Promise<string> => (await get(server.port, path)).text
  assert.deepEqual([await text('/return'), await text('/a'), await text('/b')], ['one', 'python', 'node'])
  const authorized = await get(server.port, '/secret', { Authorization: `Basic ${btoa('a:secret')}` })
  assert.equal(authorized.text, 'told')
  const programs = server.processes().map(({ command }) => command)
  assert.ok(
    programs.some(command => command.includes('/src/app/workers/node-worker.ts')),
    programs.join('\n'),
  )
  await server.reload(conf('two'))
  await eventually(async () => (await text('/return')) === 'two')
  assert.equal(await server.stop(), 0)
})

test('the checkout’s launcher runs the source: commands', () => {
  const { status, stderr } = spawnSync(CHECKOUT, ['-t', '-q', '-c', '/nowhere.conf'], { encoding: 'utf8' })
  assert.equal(status, 1)
  assert.match(stderr, /^portico: \[emerg\] open\(\) "\/nowhere\.conf" failed \(2: No such file or directory\)$/m)
})
