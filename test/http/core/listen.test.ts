import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { EVENTS, MAIN } from '../../../src/config/directive.ts'
import { parseConfig } from '../../../src/config/parse.ts'
import { readConfig } from '../../../src/config/read.ts'
import { Registry } from '../../../src/config/registry.ts'
import { FileSource } from '../../../src/config/source.ts'
import { section } from '../../../src/config/values.ts'
import { compileHttp } from '../../../src/http/server/compile.ts'
import { httpModules } from '../../../src/http/modules/index.ts'
import { freePort, get, serve, tempDir, writeFiles } from '../../helpers/index.ts'

/** The sockets that servers with these `listen` lines would need. */
function sockets(t: TestContext, ...servers: string[][]): string[] {
  const dir = tempDir(t)
  const blocks = servers.map(lines => `server { ${lines.map(line => `listen ${line};`).join(' ')} }`)
  writeFiles(dir, { 'nginx.conf': `events {} http { ${blocks.join('\n')} }` })
  const registry = new Registry([{ events: section(MAIN, EVENTS) }, ...httpModules.map(module => module.directives)])
  const main = readConfig(parseConfig(new FileSource(), join(dir, 'nginx.conf')), registry, { prefix: `${dir}/` })
  return compileHttp(main, httpModules, { prefix: `${dir}/`, asRoot: false, warn() {} }).listens.map(({ key }) => key)
}

test('a range of ports is so many addresses', t => {
  assert.deepEqual(sockets(t, ['127.0.0.1:8001-8003']), ['127.0.0.1:8001', '127.0.0.1:8002', '127.0.0.1:8003'])
  assert.deepEqual(sockets(t, ['[::1]:8001-8002', '9000-9000']), ['[::1]:8001', '[::1]:8002', '0.0.0.0:9000'])
})

test('a range that makes no sense is refused', t => {
  assert.throws(() => sockets(t, ['127.0.0.1:8003-8001']), /invalid port range in "127\.0\.0\.1:8003-8001"/)
  assert.throws(() => sockets(t, ['127.0.0.1:0-1']), /invalid port in "127\.0\.0\.1:0-1"/)
})

test('a wildcard takes in single addresses of its family and port', t => {
  assert.deepEqual(sockets(t, ['127.0.0.1:8001', '[::1]:8001'], ['8001', '127.0.0.1:8002']), [
    '[::1]:8001',
    '0.0.0.0:8001',
    '127.0.0.1:8002',
  ])
})

test('connections to the wildcard’s port get the servers of the address they came to', async t => {
  const port = await freePort()
  const server = await serve(t, {
    ports: [port],
    conf: `http {
      server { listen %%PORT_0%%; return 200 "any"; }
      server { listen 127.0.0.2:%%PORT_0%%; return 200 "two"; }
    }`,
  })
  assert.equal((await get({ host: '127.0.0.1', port: server.ports[0]! })).text, 'any')
  assert.equal((await get({ host: '127.0.0.2', port: server.ports[0]! })).text, 'two')
})
