// What nginx finds wrong with a configuration though nobody would ever meet it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { check } from '../../helpers/check.ts'
import { tempDir, writeFiles } from '../../helpers/index.ts'
import type { Scope } from '../../helpers/index.ts'

/** The first problem that `-t` tells, '' if there is none. */
function problem(t: Scope, text: string): string {
  const dir = tempDir(t)
  writeFiles(dir, { 'nginx.conf': `events {} ${text}`, 'logs/x': '' })
  const { stderr } = check(dir, 'nginx.conf')
  return /\[emerg\] (.*?)(?: in \S+:\d+)?\n/.exec(stderr)?.[1] ?? ''
}

const server = 'server { listen 127.0.0.1:8888; location / { return 200; } }'

for (const [where, text] of [
  ['proxy_bind of a block without servers', 'http { proxy_bind $nope; }'],
  [
    'proxy_bind of a location without proxy_pass',
    'http { server { listen 127.0.0.1:8888; location / { proxy_bind $nope; } } }',
  ],
  [
    'grpc_bind, set anew by the only server',
    `http { grpc_bind $nope; server { listen 127.0.0.1:8888; grpc_bind off; } }`,
  ],
  ['a log format that no log has', `http { log_format a $nope; ${server} }`],
  ['proxy_bind in stream', 'stream { server { listen 127.0.0.1:8888; return x; proxy_bind $nope; } }'],
] as const) {
  test(`a variable that there is not is refused where nobody uses it: ${where}`, t => {
    assert.equal(problem(t, text), 'unknown "nope" variable')
  })
}

test('variables of what is made for each upstream alone are looked at where there is one', t => {
  const text = `http { proxy_set_header X $nope; fastcgi_param X $nope; %%% }`
  assert.equal(problem(t, text.replace('%%%', server)), '')
  const used = 'server { listen 127.0.0.1:8888; location / { proxy_pass http://127.0.0.1:1; } }'
  assert.equal(problem(t, text.replace('%%%', used)), 'unknown "nope" variable')
})

test('variables may be made further down, by whoever makes any', t => {
  const made = 'map $uri $x { default 1; } server { listen 127.0.0.1:8888; set $y 1; location ~ (?<z>.) { } }'
  assert.equal(problem(t, `http { log_format a "$x $y $z $1 $http_any $arg_any"; proxy_bind $x; ${made} }`), '')
})

test('zones that nobody has declared are refused in a block without servers', t => {
  assert.equal(problem(t, 'http { limit_req zone=nope; }'), 'zero size shared memory zone "nope"')
  assert.equal(problem(t, 'http { limit_conn nope 1; }'), 'zero size shared memory zone "nope"')
  assert.equal(problem(t, 'stream { limit_conn nope 1; }'), 'zero size shared memory zone "nope"')
  assert.equal(problem(t, 'http { limit_req zone=a; limit_req_zone $uri zone=a:1m rate=1r/s; }'), '')
})

test('files of passwords must be there, whatever is done with them', t => {
  const missing = 'open() "/no/such/file" failed (2: No such file or directory)'
  for (const text of [
    'http { ssl_password_file /no/such/file; }',
    'http { proxy_ssl_password_file /no/such/file; }',
    'http { server { listen 127.0.0.1:8888; location / { grpc_pass grpc://127.0.0.1:1; grpc_ssl_password_file /no/such/file; } } }',
  ])
    assert.equal(problem(t, text), missing)
})

test('sizes of pools that nginx would not take are refused', t => {
  assert.equal(problem(t, 'http { connection_pool_size 100; }'), 'the pool size must be no less than 112')
  assert.equal(problem(t, 'http { request_pool_size 4097; }'), 'the pool size must be a multiple of 16')
  assert.equal(problem(t, 'http { request_pool_size 4k; connection_pool_size 112; }'), '')
})
