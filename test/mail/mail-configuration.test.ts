// What a mail block may say, and what is told of one that is wrong.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { compile, configErrors, parse } from '../../src/cli/configuration.ts'
import { FileSource } from '../../src/config/source.ts'
import { fileScope, tempDir, writeFiles } from '../helpers/index.ts'

const dir = tempDir(fileScope())

/** A directive a line; what is told of it first, as -t does. */
function check(mail: string): string {
  const text = `pid p;\nevents { }\nmail {\n${mail.replaceAll('; ', ';\n').replaceAll('{ ', '{\n')}\n}\n`
  writeFiles(dir, { 'c.conf': text })
  const invocation = { prefix: `${dir}/`, file: join(dir, 'c.conf'), directives: '', errorLog: null }
  const source = new FileSource()
  const told: string[] = []
  try {
    compile(source, parse(source, invocation), invocation, false, warning => told.push(`[warn] ${String(warning)}`))
  } catch (error) {
    told.push(...configErrors(error).map(one => `[emerg] ${String(one)}`))
    if (told.length === 0) throw error
  }
  return (told[0] ?? '').replaceAll(`${dir}/`, '')
}

const server = (text: string): string =>
  `server { listen 127.0.0.1:10143; protocol imap; auth_http 127.0.0.1:1; ${text} }`

test('what every server needs', () => {
  assert.equal(
    check('server { protocol imap; auth_http 127.0.0.1:1; }'),
    '[emerg] no "listen" is defined for server in c.conf:4',
  )
  assert.equal(
    check('server { listen 127.0.0.1:10143; auth_http 127.0.0.1:1; }'),
    '[emerg] unknown mail protocol for server in c.conf:4',
  )
  assert.equal(
    check('server { listen 127.0.0.1:10143; protocol imap; }'),
    '[emerg] no "auth_http" is defined for server in c.conf:4',
  )
  const tls = '[emerg] no "ssl_certificate" is defined for the'
  assert.equal(check(server('starttls only;')), `${tls} "starttls" directive in c.conf:8`)
  assert.equal(check(`starttls on; ${server('')}`), `${tls} "starttls" directive in c.conf:4`)
  assert.equal(
    check('server { listen 127.0.0.1:10143 ssl; protocol imap; auth_http 127.0.0.1:1; }'),
    `${tls} "listen ... ssl" directive in c.conf:5`,
  )
})

test('certificates are looked at where they are shown', () => {
  const missing = 'ssl_certificate no.crt; ssl_certificate_key no.key;'
  assert.equal(check(server(missing)), '')
  assert.equal(check(server('ssl_certificate no.crt;')), '')
  assert.match(check(server(`${missing} starttls on;`)), /^\[emerg\] cannot load certificate "no\.crt"/)
})

test('a protocol is named as it is written', () => {
  const named = (name: string): string =>
    check(`server { listen 127.0.0.1:10143; protocol ${name}; auth_http 127.0.0.1:1; }`)
  assert.equal(named('imap'), '')
  assert.equal(named('IMAP'), '[emerg] unknown protocol "IMAP" in c.conf:6')
  assert.equal(named('nntp'), '[emerg] unknown protocol "nntp" in c.conf:6')
})

test('what is usual, and what stands for all servers', () => {
  assert.equal(check(''), '')
  const common = 'auth_http 127.0.0.1:1/auth; server_name x; timeout 1m; max_errors 3; proxy on; proxy_buffer 8k;'
  const own = 'proxy_timeout 1h; proxy_smtp_auth on; xclient off; smtp_auth none; resolver off; error_log e.log;'
  // The protocol is that of the port.
  const ports = [25, 465, 587, 110, 995, 143, 993].map(port => `server { listen 127.0.0.1:${port}; }`).join(' ')
  assert.equal(check(`${common} ${own} ${ports}`), '')
  // The last of several counts.
  assert.equal(check(server('auth_http http://127.0.0.1:2/;')), '')
})

test('values that are none, with file and line', () => {
  const wrong = (text: string): string => check(server(text))
  for (const [text, value] of [
    ['imap_auth foo;', 'foo'],
    ['pop3_auth login;', 'login'],
    ['smtp_auth apop;', 'apop'],
    ['proxy_protocol v3;', 'v3'],
    ['starttls yes;', 'yes'],
  ] as const) {
    assert.equal(wrong(text), `[emerg] invalid value "${value}" in c.conf:8`)
  }
  assert.equal(wrong('timeout 1s; timeout 1s;'), '[emerg] "timeout" directive is duplicate in c.conf:9')
  assert.equal(wrong('max_errors x;'), '[emerg] "max_errors" directive invalid number in c.conf:8')
  assert.equal(
    wrong('auth_http_header X;'),
    '[emerg] invalid number of arguments in "auth_http_header" directive in c.conf:8',
  )
  assert.equal(
    wrong('set_real_ip_from 10.0.0.1/8;'),
    '[warn] low address bits of 10.0.0.1/8 are meaningless in c.conf:8',
  )
  const target = (text: string): string => check(`server { listen 127.0.0.1:1; protocol imap; auth_http ${text}; }`)
  assert.equal(target('http://'), '[emerg] no host in auth_http "" in c.conf:7')
  assert.equal(target('127.0.0.1:99999'), '[emerg] invalid port in auth_http "127.0.0.1:99999" in c.conf:7')
})

test('addresses: each has a port, and belongs to one server', () => {
  const listen = (text: string): string => check(`server { listen ${text}; protocol imap; auth_http 127.0.0.1:1; }`)
  const at = 'of the "listen" directive in c.conf:5'
  assert.equal(listen('localhost'), `[emerg] no port in "localhost" ${at}`)
  assert.equal(listen('[::1]'), `[emerg] no port in "[::1]" ${at}`)
  assert.equal(listen('127.0.0.1:x'), `[emerg] invalid port in "127.0.0.1:x" ${at}`)
  assert.equal(listen('10143 http2'), '[emerg] invalid parameter "http2" in c.conf:5')
  assert.equal(listen('10143 default_server'), '[emerg] invalid parameter "default_server" in c.conf:5')
  assert.equal(listen('10143 backlog=0'), '[emerg] invalid backlog "backlog=0" in c.conf:5')
  assert.equal(listen('[::1]:10143 ipv6only=off so_keepalive=30m::10 rcvbuf=8k'), '')
  const twice = 'duplicate "127.0.0.1:10143" address and port pair in c.conf'
  assert.equal(check(server('listen 127.0.0.1:10143;')), `[emerg] ${twice}:8`)
  assert.equal(check(`${server('')} ${server('')}`), `[emerg] ${twice}:9`)
})

test('a directive of another place is told where it may stand', () => {
  const misplaced = (text: string): string => check(text)
  assert.equal(misplaced('protocol imap;'), '[emerg] "protocol" directive is not allowed here in c.conf:4')
  assert.equal(misplaced('gzip on;'), '[emerg] "gzip" directive is not allowed here in c.conf:4')
  assert.equal(misplaced(server('access_log off;')), '[emerg] "access_log" directive is not allowed here in c.conf:8')
  assert.equal(misplaced(server('location / { }')), '[emerg] "location" directive is not allowed here in c.conf:8')
})
