import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { EVENTS, MAIN } from '../../../src/config/directive.ts'
import { parseConfig } from '../../../src/config/parse.ts'
import { readConfig } from '../../../src/config/read.ts'
import { Registry } from '../../../src/config/registry.ts'
import { FileSource } from '../../../src/config/source.ts'
import { section } from '../../../src/config/values.ts'
import type { ConfigError } from '../../../src/config/errors.ts'
import { compileHttp, type CompiledHttp } from '../../../src/http/server/compile.ts'
import { httpModules } from '../../../src/http/modules/index.ts'
import { freePort, get, serve, tempDir, writeFiles } from '../../helpers/index.ts'

/** The sockets that servers with these `listen` lines would need. */
function sockets(t: TestContext, ...servers: string[][]): string[] {
  const blocks = servers.map(lines => `server { ${lines.map(line => `listen ${line};`).join(' ')} }`)
  return compiled(t, blocks.join('\n'), () => {}).listens.map(({ key }) => key)
}

function compiled(t: TestContext, servers: string, warn: (warning: ConfigError) => void): CompiledHttp {
  const dir = tempDir(t)
  writeFiles(dir, { 'nginx.conf': `events {} http { ${servers} }` })
  const registry = new Registry([{ events: section(MAIN, EVENTS) }, ...httpModules.map(module => module.directives)])
  const main = readConfig(parseConfig(new FileSource(), join(dir, 'nginx.conf')), registry, { prefix: `${dir}/`, warn })
  return compileHttp(main, httpModules, { prefix: `${dir}/`, asRoot: false, warn })
}

test('a range of ports is so many addresses', t => {
  assert.deepEqual(sockets(t, ['127.0.0.1:8001-8003']), ['127.0.0.1:8001', '127.0.0.1:8002', '127.0.0.1:8003'])
  assert.deepEqual(sockets(t, ['[::1]:8001-8002', '9000-9000']), ['[::1]:8001', '[::1]:8002', '0.0.0.0:9000'])
})

test('a name stands for its addresses', t => {
  assert.ok(sockets(t, ['localhost:8001']).includes('127.0.0.1:8001'))
  assert.ok(sockets(t, ['LOCALHOST:8001-8002']).includes('127.0.0.1:8002'))
  for (const wrong of ['-x:8001', '10.0.0.0.1:8001', '"a\0b:8001"'])
    assert.throws(() => sockets(t, [wrong]), /host not found in ".*:8001" of the "listen" directive/s)
})

test('a range that makes no sense is refused', t => {
  assert.throws(() => sockets(t, ['127.0.0.1:8003-8001']), /invalid port range in "127\.0\.0\.1:8003-8001"/)
  assert.throws(() => sockets(t, ['127.0.0.1:0-1']), /invalid port in "127\.0\.0\.1:0-1"/)
})

test('of the servers on an address one says how its socket is to be, whichever it is', t => {
  const servers = (first: string, second: string): string =>
    `server { listen 127.0.0.1:8001 ${first}; } server { listen 127.0.0.1:8001 ${second}; server_name b; }`
  const backlog = (first: string, second: string): number =>
    compiled(t, servers(first, second), () => {}).listens[0]!.backlog
  assert.equal(backlog('backlog=5', ''), 5)
  assert.equal(backlog('', 'default_server backlog=6'), 6)
  assert.throws(() => backlog('bind', 'backlog=6'), /duplicate listen options for 127\.0\.0\.1:8001/)
})

test('names that cannot be are refused: some at once, others where names are looked at', t => {
  const told: string[] = []
  const named = (...names: string[]): void => {
    const servers = names.map(name => `server { listen 127.0.0.1:8001; server_name ${name}; }`).join(' ')
    compiled(t, servers, warning => told.push(warning.message))
  }
  for (const name of ['.', '*', '*a', '*.']) {
    assert.throws(
      () => named(name),
      ({ message }: Error) => message.startsWith(`server name "${name}" is invalid in `),
    )
  }
  named('www.*.com')
  named('a/b')
  assert.deepEqual(told, ['server name "a/b" has suspicious symbols'])
  const invalid = 'invalid server name or wildcard "www.*.com" on 127.0.0.1:8001'
  assert.throws(() => named('www.*.com', 'a'), { message: invalid })
  assert.throws(() => named('a', 'www.*.com'), { message: invalid })
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

test('a name that two servers have is warned about; of patterns the first that matches counts', t => {
  const said: string[] = []
  const servers = ['a *.b ~^c', 'A *.b ~^c ~^C'].map(names => `server { listen 81; server_name ${names}; }`)
  compiled(t, servers.join('\n'), warning => void said.push(warning.message))
  assert.deepEqual(
    said,
    ['a', '*.b'].map(name => `conflicting server name "${name}" on 0.0.0.0:81, ignored`),
  )
})
