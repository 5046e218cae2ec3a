import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { serveHttp } from '../../../helpers/http.ts'
import { origin } from '../../../helpers/origin.ts'
import { get } from '../../../helpers/raw.ts'

const back = await origin({ after })
const files = { 'html/run': 'x', 'html/plain.txt': 'plain', 'html/dir/a': '' }
// What nginx 1.31.5 answers to the same blocks.
const { port, dir } = await serveHttp(
  { after },
  `
  root html;
  location /if/ { set $v none;
    if ($arg_a) { set $v a; }
    if ($arg_b = 1) { set $v "\${v}b"; }
    if ($arg_c ~ ^(.)(.)) { set $v "$v$2$1"; }
    if ($arg_d != x) { set $v "$v!"; }
    return 200 $v; }
  location /not { set $m n;
    if ($arg_a !~ ^x) { set $m "\${m}1"; }
    if ($arg_a !~* ^X) { set $m "\${m}2"; }
    if ($arg_a ~* ^(X)) { set $m "\${m}3$1"; }
    return 200 $m; }
  location /file { set $f "";
    if (-f $document_root$arg_f) { set $f f; }
    if (-d $document_root$arg_f) { set $f "\${f}d"; }
    if (-e $document_root$arg_f) { set $f "\${f}e"; }
    if (-x $document_root$arg_f) { set $f "\${f}x"; }
    if (!-f $document_root$arg_f) { set $f "\${f}F"; }
    if (!-e $document_root$arg_f) { set $f "\${f}E"; }
    if (!-d $document_root$arg_f) { set $f "\${f}D"; }
    if (!-x $document_root$arg_f) { set $f "\${f}X"; }
    return 200 $f; }
  location /head { add_header X-Out out;
    if ($arg_a) { add_header X-In "in $arg_a"; return 200 inner; }
    if ($arg_b) { add_header X-B b; }
    if ($arg_c) { add_header X-C c; }
    return 200 outer; }
  location /pass { if ($arg_p) { proxy_pass http://127.0.0.1:${back.port}; } }
  location /passed { proxy_pass http://127.0.0.1:${back.port}; if ($arg_p) { add_header X-P p; } }
  location /other { if ($arg_p) { proxy_pass http://127.0.0.1:${back.port}; } scgi_pass 127.0.0.1:1; }
  location /last { scgi_pass 127.0.0.1:1; proxy_pass http://127.0.0.1:${back.port}; if ($arg_p) { add_header X-P p; } }
  location /first { proxy_pass http://127.0.0.1:${back.port}; scgi_pass 127.0.0.1:1; if ($arg_p) { add_header X-P p; } }
  location /root { if ($arg_r) { root html/none; } rewrite ^/root /plain.txt break; }
`,
  '',
  { files },
)
chmodSync(join(dir, 'html/run'), 0o755)
chmodSync(join(dir, 'html/plain.txt'), 0o644)

async function texts(cases: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, expected] of Object.entries(cases)) assert.equal((await get(port, path)).text, expected, path)
}

test('if: truth, equality and matches, in the order written', () =>
  texts({
    '/if/?a=1': 'a!',
    '/if/?a=0': 'none!',
    '/if/?a=00': 'a!',
    '/if/?a=&b=1': 'noneb!',
    '/if/?b=1&a=1&c=xyz': 'abyx!',
    '/if/?d=x': 'none',
    '/if/?c=q': 'none!',
    '/not?a=x': 'n3x',
    '/not?a=X': 'n13X',
    '/not?a=y': 'n12',
  }))

test('if: what a file is', () =>
  texts({
    '/file?f=/run': 'fexD',
    '/file?f=/plain.txt': 'feDX',
    '/file?f=/dir': 'dexF',
    '/file?f=/none': 'FEDX',
    '/file?f=/plain.txt/x': 'FEDX',
  }))

test('if: the configuration of the last block that applied is in force', async () => {
  const headers = async (path: string): Promise<string> => {
    const { text, headers } = await get(port, path)
    return `${text} ${headers
      .filter(([name]) => name.startsWith('X-'))
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')}`
  }
  assert.equal(await headers('/head'), 'outer X-Out=out')
  assert.equal(await headers('/head?a=1'), 'inner X-In=in 1')
  assert.equal(await headers('/head?b=1'), 'outer X-B=b')
  assert.equal(await headers('/head?b=1&c=1'), 'outer X-C=c')
})

test('if: a block has the handler it names, or that of the location around it', async () => {
  assert.equal((await get(port, '/pass?p=1')).status, 200)
  assert.equal((await get(port, '/pass')).status, 404)
  assert.equal((await get(port, '/passed')).status, 200)
  const passed = await get(port, '/passed?p=1')
  assert.deepEqual([passed.status, passed.header('x-p')], [200, 'p'])
})

test('if: of several handlers the one of the innermost block counts, and in a block the last one', async () => {
  const cases = { '/other?p=1': 200, '/other': 502, '/last': 200, '/last?p=1': 200, '/first': 502, '/first?p=1': 502 }
  for (const [path, expected] of Object.entries(cases)) assert.equal((await get(port, path)).status, expected, path)
})

test('if: a root of its own serves what was rewritten', async () => {
  assert.equal((await get(port, '/root')).text, 'plain')
  assert.equal((await get(port, '/root?r=1')).status, 404)
})
