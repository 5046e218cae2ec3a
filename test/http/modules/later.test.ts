// Directives whose features do not exist yet: read as nginx reads them, and warned about.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { check as checkFile } from '../../helpers/check.ts'
import { tempDir, writeFiles } from '../../helpers/index.ts'
import type { Scope } from '../../helpers/index.ts'

function check(t: Scope, http: string, main = ''): { status: number | null; said: string[] } {
  const dir = tempDir(t)
  writeFiles(dir, { 'a.conf': `events {} ${main} http { ${http} }`, 'logs/x': '' })
  const { status, stderr } = checkFile(dir, 'a.conf', { errorLog: 'e.log', quiet: true })
  return {
    status,
    said: stderr
      .split('\n')
      .flatMap(line => /^portico: (\[.*) in \S+:\d+$/.exec(line.replaceAll(join(dir, ''), ''))?.[1] ?? []),
  }
}

test('what does not exist yet is warned about once for each directive, and its variables are there', t => {
  const { status, said } = check(
    t,
    `log_format l $http3; quic_retry on;
     server { http3 on; http3_max_concurrent_streams 10; quic_retry off; }`,
  )
  assert.equal(status, 0)
  assert.deepEqual(
    said.toSorted(),
    ['http3', 'http3_max_concurrent_streams', 'quic_retry'].map(
      name => `[warn] the "${name}" directive has no effect yet`,
    ),
  )
})

test('what Linux cannot do is warned about', t => {
  const { status, said } = check(t, 'send_lowat 1k; proxy_send_lowat 1k; fastcgi_send_lowat 0; tunnel_send_lowat 1;')
  assert.equal(status, 0)
  const names = ['send_lowat', 'proxy_send_lowat', 'fastcgi_send_lowat', 'tunnel_send_lowat']
  assert.deepEqual(
    said,
    names.map(name => `[warn] "${name}" is not supported, ignored`),
  )
})

for (const [directive, problem] of [
  ['proxy_cache_path /c levels=1:2;', '"proxy_cache_path" must have "keys_zone" parameter'],
  ['proxy_cache_path /c keys_zone=a:1m colour=red;', 'invalid parameter "colour=red"'],
  ['proxy_cache_path /c keys_zone=a:1m levels=3;', 'invalid "levels" "levels=3"'],
  ['fastcgi_cache_valid 99 1m;', 'invalid status "99"'],
  ['uwsgi_cache_valid 200 soon;', 'invalid time value "soon"'],
  ['scgi_cache_lock maybe;', 'invalid value "maybe" in "scgi_cache_lock" directive, it must be "on" or "off"'],
  ['proxy_cache_methods PUT;', 'invalid value "PUT"'],
  ['fastcgi_cache_use_stale http_502;', 'invalid value "http_502"'],
  ['proxy_cache a b;', 'invalid number of arguments in "proxy_cache" directive'],
  ['server { listen 8000 quic; }', 'a server for HTTP/3 alone is not supported yet'],
] as const) {
  test(`${directive} is refused`, t => {
    const { status, said } = check(t, directive)
    assert.equal(status, 1)
    assert.equal(
      said.find(line => line.startsWith('[emerg]')),
      `[emerg] ${problem}`,
    )
  })
}

test('what an address for HTTP/3 is besides one for TCP is left out', t => {
  const { status, said } = check(t, 'server { listen 127.0.0.1:8000; listen 127.0.0.1:8000 quic reuseport; http3 on; }')
  assert.equal(status, 0)
  assert.deepEqual(said, [
    '[warn] "listen 127.0.0.1:8000 quic" is ignored, HTTP/3 is not supported yet',
    '[warn] the "http3" directive has no effect yet',
  ])
})
