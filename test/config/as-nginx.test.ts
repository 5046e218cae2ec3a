// What nginx takes is taken, and what it refuses is refused, in its words: cases in which this was not so.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { check } from '../helpers/check.ts'
import { tempDir, writeFiles } from '../helpers/temp-dir.ts'

const server = (text: string): string => `http { server { listen 127.0.0.1:8888; ${text} } }`
const streamServer = (text: string): string => `stream { server { listen 127.0.0.1:8888; ${text} } }`
const deprecated = (name: string): string =>
  `[warn] the "${name}" directive is deprecated, use the "proxy_buffer_size" directive instead`
const obsolete = '[warn] the "http2_max_requests" directive is obsolete, use the "keepalive_requests" directive instead'

const cases: readonly (readonly [text: string, told: string])[] = [
  [server('location / { empty_gif; empty_gif; }'), ''],
  [server('http2_max_requests 1; http2_max_requests 2;'), `${obsolete}\n${obsolete}`],
  [server('keepalive_disable msie6 safari;'), ''],
  [server('location @a { return 200; } location @a { return 201; }'), '[warn] duplicate location "@a" is ignored'],
  // The block is not whole: what is missing may stand behind the mistake.
  ['http { upstream u { server 127.0.0.1:1 } }', '[emerg] unexpected "}"'],
  [
    server('keepalive_disable msie6 safari none;'),
    '[emerg] invalid number of arguments in "keepalive_disable" directive',
  ],
  [server('location ~ ^/(a)/ { location ~ b { } }'), ''],
  [server('location ~ ^/(a)/ { location /a/b { } }'), '[emerg] location "/a/b" is outside location "^/(a)/"'],
  [streamServer('proxy_pass 127.0.0.1:1; proxy_downstream_buffer 8k;'), deprecated('proxy_downstream_buffer')],
  [streamServer('proxy_pass 127.0.0.1:1; proxy_upstream_buffer 8k;'), deprecated('proxy_upstream_buffer')],
]

for (const [text, told] of cases) {
  test(`${text}: ${told === '' ? 'taken' : told}`, t => {
    const dir = tempDir(t)
    writeFiles(dir, { 'a.conf': `events { } ${text}` })
    const { status, stderr } = check(dir, join(dir, 'a.conf'), { quiet: true })
    const lines = stderr.split('\n').filter(line => line.includes('['))
    assert.equal(lines.map(line => line.replace(/^portico: (.*) in .*:1$/, '$1')).join('\n'), told)
    assert.equal(status, told.startsWith('[emerg]') ? 1 : 0)
  })
}
