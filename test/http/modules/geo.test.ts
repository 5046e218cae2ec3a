import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { EVENTS, MAIN } from '../../../src/config/directive.ts'
import { parseConfig } from '../../../src/config/parse.ts'
import { readConfig } from '../../../src/config/read.ts'
import { Registry } from '../../../src/config/registry.ts'
import { FileSource } from '../../../src/config/source.ts'
import { section } from '../../../src/config/values.ts'
import { httpModules } from '../../../src/http/modules/index.ts'
import { check } from '../../helpers/check.ts'
import { request, serve, tempDir, writeFiles, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(file, {
  // nginx's binary form of an included file of ranges is of no interest.
  files: { 'more.geo': '10.2.0.0/16 included;\n', 'more.geo.bin': 'GEORNG' },
  conf: `
    http {
      geo $arg_ip $nets { default none; 10.0.0.0/8 ten; 10.1.0.0/16 ten-one; 2001:db8::/32 doc; ::1 loop; include more.geo; delete 10.1.0.0/16; }
      geo $arg_ip $ranges { ranges; default none; 10.0.0.0-10.255.255.255 ten; 10.1.0.0-10.1.0.9 few; }
      geo $client { 127.0.0.0/8 local; }
      geo $via { proxy 127.0.0.1; default none; 127.0.0.0/8 local; 192.0.2.0/24 doc; }
      geo $via_all { proxy_recursive; proxy 127.0.0.1; default none; 127.0.0.0/8 local; 192.0.2.0/24 doc; }
      server {
        listen 127.0.0.1:%%PORT_0%%;
        return 200 "$nets|$ranges|$client|$via|$via_all";
      }
    }`,
})

async function values(ip: string, headers: Record<string, string | string[]> = {}): Promise<string[]> {
  const { body } = await request({ address: server.port, path: `/?ip=${ip}`, headers })
  return body.toString().split('|')
}

test('geo: the longest network that contains the address', async () => {
  for (const [ip, value] of [
    ['10.3.0.1', 'ten'],
    ['10.1.0.1', 'ten'],
    ['10.2.255.255', 'included'],
    ['::ffff:10.2.0.0', 'included'],
    ['11.0.0.0', 'none'],
    ['2001:db8:ffff::', 'doc'],
    ['2001:db9::', 'none'],
    ['::1', 'loop'],
    ['nonsense', 'none'],
  ] as const) {
    assert.equal((await values(ip))[0], value, ip)
  }
})

test('geo: ranges, the later dividing the earlier', async () => {
  for (const [ip, value] of [
    ['10.1.0.9', 'few'],
    ['10.1.0.10', 'ten'],
    ['10.255.255.255', 'ten'],
    ['::ffff:10.0.0.0', 'ten'],
    ['9.255.255.255', 'none'],
    ['::1', 'none'],
  ] as const) {
    assert.equal((await values(ip))[1], value, ip)
  }
})

test('geo: the client, or whom trusted proxies name', async () => {
  assert.deepEqual((await values('')).slice(2), ['local', 'local', 'local'])
  const via = async (...lists: string[]): Promise<string[]> => (await values('', { 'X-Forwarded-For': lists })).slice(3)
  assert.deepEqual(await via('192.0.2.1'), ['doc', 'doc'])
  assert.deepEqual(await via('192.0.2.1, 127.0.0.1'), ['local', 'doc'])
  assert.deepEqual(await via('192.0.2.1', '127.0.0.1'), ['local', 'doc'])
  assert.deepEqual(await via('192.0.2.1, 10.0.0.1'), ['none', 'none'])
})

test('geo: a warning names the line it is about', t => {
  const dir = tempDir(t)
  writeFiles(dir, {
    'nginx.conf': 'events { }\nhttp {\n geo $a {\n  10.0.0.0/8 a;\n  include more.geo;\n }\n server { listen 1; }\n}\n',
    'more.geo': '\n10.0.0.0/8 b;\n',
  })
  const warnings: string[] = []
  const registry = new Registry([{ events: section(MAIN, EVENTS) }, ...httpModules.map(module => module.directives)])
  readConfig(parseConfig(new FileSource(), join(dir, 'nginx.conf')), registry, {
    prefix: `${dir}/`,
    warn: warning => warnings.push(warning.toString()),
  })
  assert.deepEqual(warnings, [`duplicate network "10.0.0.0/8", value: "b", old value: "a" in ${dir}/more.geo:2`])
})

test('geo: connections have no proxies that tell of others', t => {
  const dir = tempDir(t)
  for (const [line, problem] of [
    ['proxy 127.0.0.1;', 'invalid network "proxy"'],
    ['ranges; proxy 127.0.0.1;', 'invalid range "proxy"'],
    ['proxy_recursive;', 'invalid number of the geo parameters'],
  ]) {
    writeFiles(dir, { 'a.conf': `events {} stream { geo $a { ${line} } }` })
    const { status, stderr } = check(dir, 'a.conf')
    assert.equal(status, 1)
    assert.ok(stderr.includes(`${problem} in `), stderr)
  }
})
