// What a Node program finds on its command line: `arguments`, and what `serve` is given behind `--`.

import assert from 'node:assert/strict'
import test from 'node:test'
import { readCommandLine } from '../../src/app/settings/command-line.ts'
import { get } from '../helpers/raw.ts'
import { serve, serveApp } from '../helpers/serve.ts'

const source = `export default (q, s) => s.end(JSON.stringify(process.argv.slice(2)))`

test('node arguments: the words of "arguments" stand behind the program’s name', async t => {
  const server = await serve(t, {
    conf: `
events { }
http {
  app own { directory %%DIR%%; module a.mjs; arguments start -p 3000 "two words" '' Größe; workers 1; }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: { 'a.mjs': source },
  })
  assert.deepEqual(JSON.parse((await get(server.port, '/')).text), ['start', '-p', '3000', 'two words', '', 'Größe'])
})

test('node arguments: "serve" takes them from behind "--"', async t => {
  const args = ['-w', '1', 'a.mjs', '--', 'start', '-w', '7', 'say "it"', '']
  const server = await serveApp(t, args, { files: { 'a.mjs': source } })
  assert.deepEqual(JSON.parse((await get(server.port, '/')).text), ['start', '-w', '7', 'say "it"', ''])
})

test('node arguments: they are words of "serve" only for Node, and only behind "--"', () => {
  const read = (...args: string[]): readonly [readonly string[], readonly string[], string | null] => {
    const { settings, warnings, words } = readCommandLine(args, {})
    return [words, warnings, settings.wsgi_app]
  }
  assert.deepEqual(read('a.js', '--', '-x', 'y'), [['-x', 'y'], [], 'a.js'])
  assert.deepEqual(read('--', 'a.js', '-x'), [['-x'], [], 'a.js'])
  assert.deepEqual(read('-k', 'node', 'bin/www', '--', 'x'), [['x'], [], 'bin/www'])
  assert.deepEqual(read('a.js'), [[], [], 'a.js'])
  const inFront = '"x" is ignored: "a.js" is the application; what is for itself stands behind "--"'
  assert.deepEqual(read('a.js', 'x', '--', 'y'), [['y'], [inFront], 'a.js'])
  assert.deepEqual(read('a', '--', 'x'), [[], ['"x" is ignored: "a" is the application'], 'a'])
  assert.deepEqual(read('--', 'a', 'x'), [[], ['"x" is ignored: "a" is the application'], 'a'])
})

test('node arguments: options of Node itself stand in front of the program', async t => {
  const server = await serve(t, {
    conf: `
events { }
http {
  app own { directory %%DIR%%/site; module a.mjs; node_options --env-file=.env --expose-gc --import ./before.mjs; workers 1; }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: {
      'site/.env': 'OWN=own',
      'site/before.mjs': 'globalThis.before = true',
      'site/a.mjs': `export default (q, s) => s.end(JSON.stringify([process.env.OWN, typeof gc, before, process.argv.length]))`,
    },
  })
  assert.deepEqual(JSON.parse((await get(server.port, '/')).text), ['own', 'function', true, 2])
})
