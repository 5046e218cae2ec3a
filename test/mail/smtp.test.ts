// SMTP through the proxy: clients that log in, and those that need not but name a recipient; XCLIENT, AUTH to the server behind,
// the pause before the greeting, the client's name by DNS.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { promisify } from 'node:util'
import { answerTo, dnsServer, ipv4, record } from '../helpers/dns.ts'
import { eventually, fileScope, needs, PYTHON } from '../helpers/index.ts'
import { answer, authServer, base64, say, serveMail, smtpStore, welcome } from './servers.ts'

const t = fileScope()
const mails = await smtpStore(t)
const auth = await authServer(t, () => welcome(mails.port))

/** A name that leads back, one that leads elsewhere, and none. */
let name = 'client.example'
const dns = await dnsServer(t, ({ name: asked, type, bytes }) => {
  if (type === 12 && name === '') return answerTo(bytes, [], 0x8183)
  if (type === 12) return answerTo(bytes, [record(12, 0, `${name.split('.').map(label).join('')}\0`)])
  const found = asked === 'client.example' ? '127.0.0.1' : '127.0.0.9'
  return answerTo(bytes, type === 1 ? [record(1, 0, ipv4(found))] : [])
})

function label(text: string): string {
  return String.fromCharCode(text.length) + text
}

const proxy = await serveMail(t, auth, [
  'protocol smtp; smtp_auth plain login cram-md5 external; xclient off;',
  'protocol smtp; smtp_auth none; smtp_capabilities "SIZE 1000" PIPELINING; xclient off;',
  'protocol smtp; smtp_auth plain none;',
  'protocol smtp; proxy_smtp_auth on; xclient off;',
  'protocol smtp; smtp_greeting_delay 300ms;',
  'protocol smtp; smtp_greeting_delay 1h;',
  `protocol smtp; resolver 127.0.0.1:${dns.port} ipv6=off;`,
])
const [LOGGING_IN, OPEN, XCLIENT, PASSING_AUTH, SLOW, SLOWER, NAMED] = [0, 1, 2, 3, 4, 5, 6]

function asked(...names: string[]): (string | undefined)[] {
  return names.map(name => auth.requests.at(-1)!.get(name))
}

test('EHLO tells what can be done, HELO only a name', async () => {
  const client = await proxy.client(OPEN, '')
  assert.equal(await client.until('\r\n'), '220 mail.example ESMTP ready\r\n')
  const can = '250-mail.example\r\n250-SIZE 1000\r\n250 PIPELINING\r\n'
  assert.equal(await say(client, 'EHLO me\r\n', 'PIPELINING\r\n'), can)
  assert.equal(await say(client, 'helo me\r\n'), '250 mail.example\r\n')
  assert.equal(await say(client, 'HELO\r\n'), '501 5.5.4 Invalid argument\r\n')
  const other = await proxy.client(LOGGING_IN)
  const ways = '250-mail.example\r\n250 AUTH PLAIN LOGIN CRAM-MD5 EXTERNAL\r\n'
  assert.equal(await say(other, 'EHLO me\r\n', 'EXTERNAL\r\n'), ways)
})

test('AUTH with each mechanism, its first answer told at once or later', async () => {
  for (const [method, line, ...answers] of [
    ['plain', 'PLAIN', base64('\0me\0secret')],
    ['plain', `PLAIN ${base64('\0me\0secret')}`],
    ['plain', 'login', base64('me'), base64('secret')],
    ['plain', `LOGIN ${base64('me')}`, base64('secret')],
    ['external', 'EXTERNAL', base64('me')],
    ['external', `EXTERNAL ${base64('me')}`],
    ['cram-md5', 'CRAM-MD5', base64(`me ${'a'.repeat(32)}`)],
  ]) {
    const client = await proxy.client(LOGGING_IN)
    await say(client, 'HELO me\r\n')
    let text = await say(client, `AUTH ${line}\r\n`)
    for (const one of answers) {
      assert.match(text, /^334 [A-Za-z0-9+/=]*\r\n$/)
      text = await say(client, `${one}\r\n`)
    }
    assert.equal(text, '235 2.0.0 OK\r\n')
    assert.deepEqual(asked('Auth-Method', 'Auth-User', 'Auth-Protocol'), [method, 'me', 'smtp'])
    // Only that it is let in counts: the server behind is not told who it is.
    assert.equal(mails.said.at(-1), 'HELO mail.example\r\n')
    assert.equal(await say(client, 'MAIL FROM:<a@b>\r\n'), '250 ok\r\n')
  }
})

test('who need not log in is asked about when it names a recipient', async () => {
  const client = await proxy.client(OPEN)
  assert.equal(await say(client, 'RCPT TO:<c@d>\r\n'), '503 5.5.1 Bad sequence of commands\r\n')
  await say(client, 'EHLO me\r\n', '250 PIPELINING\r\n')
  assert.equal(await say(client, 'MAIL FROM:<a@b> SIZE=9 \r\n'), '250 2.0.0 OK\r\n')
  assert.equal(await say(client, 'MAIL FROM:<x@y>\r\n'), '503 5.5.1 Bad sequence of commands\r\n')
  assert.equal(await say(client, 'RSET\r\nMAIL FROM:<e@f>\r\n'), '250 2.0.0 OK\r\n')
  // All the rest at once, as RFC 2920 has it.
  await client.send('RCPT TO:<c@d>\r\nRCPT TO:<g@h>\r\nDATA\r\n')
  assert.equal(await client.until('354 go on\r\n'), '250 2.0.0 OK\r\n250 ok\r\n250 ok\r\n354 go on\r\n')
  const fields = ['Auth-Method', 'Auth-User', 'Auth-Pass', 'Auth-SMTP-Helo', 'Auth-SMTP-From', 'Auth-SMTP-To']
  assert.deepEqual(asked(...fields), ['none', '', '', 'me', 'MAIL FROM:<e@f>', 'RCPT TO:<c@d>'])
  assert.equal(mails.said.at(-1), 'EHLO mail.example\r\nMAIL FROM:<e@f>\r\nRCPT TO:<c@d>\r\nRCPT TO:<g@h>\r\nDATA\r\n')
  const other = await proxy.client(LOGGING_IN)
  assert.equal(await say(other, 'MAIL FROM:<a@b>\r\n'), '530 5.7.1 Authentication required\r\n')
  await eventually(() => proxy.errorLog().includes('client was rejected: "MAIL FROM:<a@b>" while in auth state'))
})

test('a refusal has the code of who refuses', async () => {
  auth.script = () => answer('Auth-Status: Try later', 'Auth-Error-Code: 450 4.7.1')
  const client = await proxy.client(OPEN)
  await client.send('MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n')
  assert.equal(await client.closed(), '250 2.0.0 OK\r\n450 4.7.1 Try later\r\n')
  auth.script = () => answer('Auth-Status: No')
  const other = await proxy.client(LOGGING_IN)
  await other.send(`AUTH PLAIN ${base64('\0me\0x')}\r\nQUIT\r\n`)
  assert.equal(await other.closed(), '535 5.7.0 No\r\n')
  auth.script = () => welcome(mails.port)
})

test('XCLIENT tells the server behind of the client, and what it called itself', async () => {
  const client = await proxy.client(XCLIENT)
  await client.send(`EHLO me\r\nAUTH PLAIN ${base64('\0m\xfc r+\0x')}\r\n`)
  await client.until('235 2.0.0 OK\r\n')
  const name = 'LOGIN=m+FC+20r+2B NAME=[UNAVAILABLE]'
  assert.equal(mails.said.at(-1), `EHLO mail.example\r\nXCLIENT ADDR=127.0.0.1 ${name}\r\nEHLO me\r\n`)
  const other = await proxy.client(XCLIENT)
  await other.send('MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n')
  await other.until('250 ok\r\n')
  const xclient = 'XCLIENT ADDR=127.0.0.1 NAME=[UNAVAILABLE]'
  assert.equal(mails.said.at(-1), `EHLO mail.example\r\n${xclient}\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n`)
})

test('proxy_smtp_auth logs the client in behind', async () => {
  const client = await proxy.client(PASSING_AUTH)
  await client.send(`AUTH PLAIN ${base64('\0me\0secret')}\r\n`)
  assert.equal(await client.until('\r\n'), '235 2.0.0 OK\r\n')
  assert.equal(mails.said.at(-1), `HELO mail.example\r\nAUTH PLAIN ${base64('\0me\0secret')}\r\n`)
})

test('who speaks before smtp_greeting_delay is over is turned away', async () => {
  const started = performance.now()
  const patient = await proxy.client(SLOW, '')
  assert.equal(await patient.until('\r\n'), '220 mail.example ESMTP ready\r\n')
  assert.ok(performance.now() - started >= 300)
  assert.equal(await say(patient, 'NOOP\r\n'), '250 2.0.0 OK\r\n')
  const hasty = await proxy.client(SLOWER, '')
  await hasty.send('EHLO me\r\n')
  assert.equal(await hasty.closed(), '503 5.5.0 Improper use of SMTP command pipelining\r\n')
  await eventually(() => proxy.errorLog().includes('client was rejected before greeting: "EHLO me__"'))
})

test('a name counts that leads from the address and back to it', async () => {
  for (const [told, host] of [
    ['client.example', 'client.example'],
    ['other.example', '[UNAVAILABLE]'],
    ['no_name.example', '[TEMPUNAVAIL]'],
    ['', '[UNAVAILABLE]'],
  ] as const) {
    name = told
    const client = await proxy.client(NAMED)
    assert.equal(await say(client, `AUTH PLAIN ${base64('\0me\0x')}\r\n`), '235 2.0.0 OK\r\n')
    assert.deepEqual(asked('Client-IP', 'Client-Host'), ['127.0.0.1', host])
    assert.match(mails.said.at(-1)!, new RegExp(`NAME=${RegExp.escape(host)}\r\n`))
  }
  assert.match(proxy.errorLog(), /127\.0\.0\.1 resolved to invalid host name "no_name\.example"/)
  assert.match(
    proxy.errorLog(),
    /127\.0\.0\.1 could not be resolved \(3: Host not found\) while in resolving client address/,
  )
})

test('a client that goes while its name is asked for leaves nothing behind', async () => {
  name = 'client.example'
  const before = dns.questions.length
  const client = await proxy.client(NAMED, '')
  await eventually(() => dns.questions.length > before)
  client.reset()
  const other = await proxy.client(NAMED)
  assert.equal(await say(other, 'NOOP\r\n'), '250 2.0.0 OK\r\n')
})

test("Python's smtplib sends a message", async t => {
  if (!needs(t, 'python3')) return
  const program = `
import smtplib, sys
for port, login in ((sys.argv[1], True), (sys.argv[2], False)):
    s = smtplib.SMTP('127.0.0.1', int(port), local_hostname='me')
    if login: print(s.login('me', 'secret'))
    print(s.mail('a@b'), s.rcpt('c@d'), s.docmd('DATA'))
    s.close()
`
  const ports = [proxy.ports[PASSING_AUTH], proxy.ports[OPEN]].map(String)
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', program, ...ports])
  const sent = "(250, b'ok') (250, b'ok') (354, b'go on')\n"
  assert.equal(stdout, `(235, b'2.0.0 OK')\n${sent}${sent.replace("b'ok'", "b'2.0.0 OK'")}`)
})
