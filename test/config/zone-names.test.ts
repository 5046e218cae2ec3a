// One name for two zones: refused where the second one stands, whatever directives they belong to.

import assert from 'node:assert/strict'
import test from 'node:test'
import { check } from '../helpers/check.ts'
import { tempDir, writeFiles } from '../helpers/temp-dir.ts'

const requests = 'limit_req_zone $uri zone=x:64k rate=1r/s;'
const connections = 'limit_conn_zone $uri zone=x:64k;'
const cache = 'proxy_cache_path cache keys_zone=x:64k;'
const group = 'upstream u { zone x 64k; server 127.0.0.1:1; }'
const sessions = 'ssl_session_cache shared:x:64k;'
const learned = 'upstream v { server 127.0.0.1:1; sticky learn create=$uri lookup=$uri zone=x:64k; }'

const OTHER_USE = 'the shared memory zone "x" is already declared for a different use'

const cases: readonly (readonly [conf: string, refused: string | null])[] = [
  [`http {\n${requests}\n${connections} }`, `${OTHER_USE} in %:3`],
  [`http {\n${connections}\n${requests} }`, `${OTHER_USE} in %:3`],
  [`http {\n${requests}\n${cache} }`, `${OTHER_USE} in %:3`],
  [`http {\n${group}\n${sessions} }`, `${OTHER_USE} in %:3`],
  [`http {\n${learned}\n${group} }`, `${OTHER_USE} in %:3`],
  [`http { server {\n${sessions} }\n${learned} }`, `${OTHER_USE} in %:3`],
  [`http {\n${cache}\nfastcgi_cache_path other keys_zone=x:64k; }`, `${OTHER_USE} in %:3`],
  [`http {\n${group}\n}\nstream { ${group} }`, `${OTHER_USE} in %:4`],
  [
    `http {\n${group}\nupstream v { zone x 128k; server 127.0.0.1:1; } }`,
    'the size 131072 of shared memory zone "x" conflicts with already declared size 65536 in %:3',
  ],
  [
    `http {\n${sessions} server {\nssl_session_cache shared:x:128k; } }`,
    'the size 131072 of shared memory zone "x" conflicts with already declared size 65536 in %:3',
  ],
  [`http {\n${requests}\n${requests} }`, 'limit_req_zone "x" is already bound to key "$uri" in %:3'],
  // Used again: by what has declared it.
  [`http { ${group}\nupstream v { zone x; server 127.0.0.1:1; } ${sessions.replace('x', 'y')} }`, null],
  [`http { ${sessions} server { ${sessions} } }`, null],
]

test('a zone is one directive’s, of one block and of one size', t => {
  const dir = tempDir(t)
  for (const [conf, refused] of cases) {
    writeFiles(dir, { 'a.conf': `${conf}\nevents { }\n`, 'logs/.keep': '' })
    const { status, stderr } = check(dir, 'a.conf')
    assert.equal(status, refused === null ? 0 : 1, `${conf}\n${stderr}`)
    if (refused === null) continue
    assert.deepEqual(
      stderr.split('\n').filter(line => line.includes('[emerg]')),
      [`portico: [emerg] ${refused.replace('%', `${dir}/a.conf`)}`],
      conf,
    )
  }
})
