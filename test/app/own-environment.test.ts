// Workers and what they start have the environment that the server was given, and what the settings add: nothing of our own.

import assert from 'node:assert/strict'
import test from 'node:test'
import { isOwnCache } from '../../src/lib/own-environment.ts'
import { get } from '../helpers/raw.ts'
import { serveApp } from '../helpers/serve.ts'

/** What the test’s own processes have of ours is not to be found with them either. */
const OURS = /^(?:PORTICO_(?:INVOKED_AS|FD_NAMES|SOCKETS|WORKER|DAEMON)|NODE_CHANNEL_FD)$/

interface Seen {
  readonly env: Record<string, string>
  readonly child: string
  readonly execArgv: readonly string[]
}

function check({ env, child }: Pick<Seen, 'env' | 'child'>): void {
  assert.equal(env['OWN'], 'own')
  assert.match(child, /^OWN=own$/m)
  for (const name of [...Object.keys(env), ...child.split('\n').map(line => line.split('=')[0]!)])
    assert.doesNotMatch(name, OURS)
  assert.ok(!isOwnCache(env['NODE_COMPILE_CACHE']))
  assert.doesNotMatch(child, /^NODE_COMPILE_CACHE=.*\/\.cache\/portico$/m)
}

test('own environment: a Node program and what it starts are shown nothing of ours', async t => {
  const source = `import { execFileSync } from 'node:child_process'
export default (q, s) => {
  const child = execFileSync('env', { encoding: 'utf8' })
  s.end(JSON.stringify({ env: process.env, child, execArgv: process.execArgv }))
}`
  const server = await serveApp(t, ['-w', '1', '-e', 'OWN=own', 'a.mjs'], { files: { 'a.mjs': source } })
  const seen = JSON.parse((await get(server.port, '/')).text) as Seen
  check(seen)
  assert.deepEqual(seen.execArgv, [])
})

test('own environment: what somebody has set himself is left to him', async t => {
  const source = `export default (q, s) => s.end(process.env.NODE_COMPILE_CACHE)`
  const files = { 'a.mjs': source }
  const server = await serveApp(t, ['-w', '1', '-e', 'NODE_COMPILE_CACHE=/own', 'a.mjs'], { files })
  assert.equal((await get(server.port, '/')).text, '/own')
})

test('own environment: a Python application and what it starts are shown nothing of ours', async t => {
  const source = `import json, os, subprocess
def application(environ, start_response):
    start_response('200 OK', [])
    child = subprocess.check_output(['env']).decode()
    return [json.dumps({'env': dict(os.environ), 'child': child}).encode()]
`
  const server = await serveApp(t, ['-w', '1', '-e', 'OWN=own', 'own_env'], { files: { 'own_env.py': source } })
  check(JSON.parse((await get(server.port, '/')).text) as Seen)
})
