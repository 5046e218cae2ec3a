import assert from 'node:assert/strict'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { check } from '../../helpers/check.ts'
import { eventually, raw, request, serve, tempDir, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(
  file,
  `
    http {
      log_format plain '$status|$request|$http_x|' '$arg_a';
      log_format words '$status' 'and' $arg_a "_b";
      log_format js escape=json '{"x":"$http_x","m":"$http_missing"}';
      log_format bare escape=none '$http_x';
      log_format times '$time_iso8601 $msec $request_time $connection_requests $bytes_sent $request_length $pipe';
      access_log plain.log plain;
      server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 abc; }
        location /off { access_log off; return 200; }
        location /words { access_log words.log words; return 200; }
        location /two { access_log js.log js; access_log bare.log bare; return 200; }
        location /if { access_log if.log plain if=$arg_log; return 200; }
        location /times { access_log times.log times; return 200 abc; }
        location /buffered { access_log buffered.log plain buffer=1k; return 200; }
        location /flushed { access_log flushed.log plain buffer=64k flush=100ms; return 200; }
      }
      log_format bodiless '$sent_http_content_type|$sent_http_content_length|$sent_http_transfer_encoding';
      log_format gone '$args|$query_string|$request_body|$cookie_a|$http_x_y|$sent_http_etag|$sent_http_x_z|';
      server {
        listen 127.0.0.1:%%PORT_2%%;
        underscores_in_headers on;
        access_log gone.log gone;
        add_header ETag '"e"';
        add_header X_Z z;
        location / { return 200; }
        location /none { return 204 text; access_log none.log bodiless; }
      }
      server {
        listen 127.0.0.1:%%PORT_1%%;
        access_log logs/access.log combined;
        return 404;
      }
    }`,
)

const ask = (path: string, headers: Readonly<Record<string, string>> = {}, port = server.port) =>
  request({ address: port, path, headers })

test('log_format: a variable ends where its word does', async () => {
  await ask('/words?a=1')
  await eventually(() => server.file('words.log') === '200and1_b\n')
})

test("combined: nginx's common line", async () => {
  await ask(
    '/x?y',
    { 'User-Agent': 'agent "7"', Referer: 'http://r/', Authorization: `Basic ${btoa('me:pw')}` },
    server.ports[1],
  )
  await eventually(() =>
    /^127\.0\.0\.1 - me \[\d\d\/[A-Z][a-z][a-z]\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET \/x\?y HTTP\/1\.1" 404 \d+ "http:\/\/r\/" "agent \\x227\\x22"\n$/.test(
      server.file('logs/access.log'),
    ),
  )
})

test('escapes: default, json, none; what does not exist', async () => {
  await ask('/e?a=1', { X: 'a"\\\xe4' })
  await ask('/two', { X: 'a"\\\xe4\t' })
  await eventually(() => {
    assert.ok(server.file('plain.log').includes('200|GET /e?a=1 HTTP/1.1|a\\x22\\x5C\\xE4|1\n'))
    assert.equal(server.file('js.log'), '{"x":"a\\"\\\\\xe4","m":""}\n')
    assert.equal(server.file('bare.log'), 'a"\\\xe4\n')
    return true
  })
})

test('off, and if=', async () => {
  for (const path of ['/off', '/if', '/if?log=0', '/if?log=1']) await ask(path)
  await eventually(() => server.file('if.log') === '200|GET /if?log=1 HTTP/1.1|-|-\n')
  assert.ok(!server.file('plain.log').includes('/off'))
})

test('times and counts', async t => {
  const client = await raw(t, server.port)
  const bytes = 'GET /times HTTP/1.1\r\nHost: x\r\n\r\n'
  await client.send(bytes)
  const length = (await client.until('abc')).length
  await client.send(bytes)
  await client.until('abc')
  await eventually(() => server.file('times.log').split('\n').length === 3)
  const [first, second] = server.file('times.log').split('\n')
  const line = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d) (\d+\.\d{3}) (\d+\.\d{3}) (\d) (\d+) (\d+) \.$/
  const [, iso, msec, took, requests, sent, got] = line.exec(first!)!
  assert.ok(Math.abs(new Date(iso!).getTime() / 1000 - Number(msec)) < 2)
  assert.ok(Number(took) < 5)
  assert.deepEqual([requests, sent, got], ['1', `${length}`, `${bytes.length}`])
  assert.equal(line.exec(second!)![4], '2')
})

test('a request that found no server is logged with its status', async t => {
  const client = await raw(t, server.port)
  await client.send('NONSENSE\r\n\r\n')
  await client.closed()
  await eventually(() => server.file('plain.log').includes('400|NONSENSE|'))
})

test('buffer= gathers lines until they are many, flush= until its time has come', async () => {
  await ask('/flushed')
  await ask('/buffered?a=first')
  await eventually(() => server.file('flushed.log').includes('/flushed'))
  assert.equal(server.file('buffered.log'), '')
  for (let i = 0; i < 30; i++) await ask(`/buffered?a=${i}`)
  await eventually(() => server.file('buffered.log').includes('a=first'))
})

test('reopening: after USR1 the old name is a new file', async () => {
  await ask('/before-rotation')
  await eventually(() => server.file('plain.log').includes('/before-rotation'))
  renameSync(join(server.dir, 'plain.log'), join(server.dir, 'plain.log.1'))
  server.signal('SIGUSR1')
  await eventually(() => existsSync(join(server.dir, 'plain.log')))
  await eventually(async () => {
    await ask('/after-rotation')
    return server.file('plain.log').includes('/after-rotation')
  })
  assert.ok(server.file('plain.log.1').includes('/before-rotation'))
})

test('buffered lines are written when the server stops', async t => {
  const own = await serve(
    t,
    `
    http { access_log end.log combined buffer=64k; server { listen 127.0.0.1:%%PORT_0%%; return 200; } }`,
  )
  await request({ address: own.port, path: '/last' })
  await own.stop()
  assert.match(own.file('end.log'), /GET \/last/)
})

test('what is not there is a hyphen; underscores in names of fields are hyphens, or underscores', async () => {
  const headers = { X_Y: 'y', Cookie: 'b=1; a=2,c=3' }
  await request({ address: server.ports[2]!, path: '/?', headers })
  await request({ address: server.ports[2]!, path: '/none' })
  await eventually(
    () => server.file('gone.log') === '-|-|-|2,c=3|y|\\x22e\\x22|z|\n' && server.file('none.log') === '-|-|-\n',
  )
})

test('what cannot be is refused', t => {
  const dir = tempDir(t)
  const problem = (text: string): string => {
    writeFileSync(join(dir, 'c.conf'), `events {} http { ${text} server { listen 127.0.0.1:8080; } }`)
    const { status, stderr } = check(dir, 'c.conf', { errorLog: 'stderr' })
    return status === 0 ? '' : stderr
  }
  assert.match(problem('access_log x none;'), /unknown log format "none" in .*c\.conf:1/)
  assert.match(problem('access_log x combined nonsense;'), /invalid parameter "nonsense"/)
  assert.match(problem('access_log x combined flush=1s;'), /no buffer is defined for access_log "x"/)
  assert.match(problem('access_log off now;'), /invalid parameter "now"/)
  assert.match(problem('log_format a b; log_format a c;'), /duplicate "log_format" name "a"/)
  assert.match(problem('log_format a $nothing; access_log x a;'), /unknown "nothing" variable/)
  assert.match(problem('access_log syslog:server=127.0.0.1 combined buffer=1k;'), /logs to syslog cannot be buffered/)
  assert.match(problem('access_log syslog:tag=x;'), /no syslog server specified/)
  assert.match(problem('access_log syslog:server=127.0.0.1,facility=me;'), /unknown syslog facility "me"/)
  assert.match(problem('access_log syslog:server=127.0.0.1,tag=a-b;'), /syslog "tag" only allows/)
  assert.match(problem('access_log $uri combined buffer=1k;'), /buffered logs cannot have variables in name/)
  assert.match(problem('access_log x combined gzip=0;'), /invalid compression level "0"/)
  assert.match(problem('open_log_file_cache inactive=1s;'), /must have "max" parameter/)
  assert.match(problem('open_log_file_cache max=x;'), /invalid "open_log_file_cache" parameter "max=x"/)
  assert.match(problem('error_log memory:32m;'), /built without debug support/)
  assert.match(problem('error_log x warn info;'), /duplicate log level "info"/)
  assert.match(problem('error_log x debug_core info;'), /duplicate log level "info"/)
  assert.match(problem('error_log x info debug_core;'), /invalid log level "debug_core"/)
  assert.equal(problem('error_log x debug_http debug_core;'), '')
})

test('a log above all locations may name what they capture', async t => {
  const parts = await serve(
    t,
    `http {
       log_format parts "$part $gone";
       access_log parts.log parts;
       server {
         listen 127.0.0.1:%%PORT_0%%;
         location ~ ^/in/(?<part>.*)$ { return 200; }
         location /gone { proxy_pass http://127.0.0.1:1; proxy_redirect ~(?<gone>x) y; }
       }
     }`,
  )
  await request({ address: parts.port, path: '/in/side' })
  await eventually(() => parts.file('parts.log') === 'side -\n')
})
