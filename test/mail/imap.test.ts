// IMAP through the proxy: every way to log in, what is refused, and what goes on afterwards.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { promisify } from 'node:util'
import { eventually, fileScope, LISTEN6, needs, needsIpv6, PYTHON, raw } from '../helpers/index.ts'
import { answer, authServer, base64, imapStore, say, serveMail, welcome } from './servers.ts'

const t = fileScope()
const mails = await imapStore(t)
const auth = await authServer(t, () => welcome(mails.port))
const proxy = await serveMail(t, auth, [
  'protocol imap; imap_auth plain login cram-md5 external; imap_client_buffer 256;',
  'protocol imap; imap_capabilities IMAP4rev1 IDLE; max_errors 2;',
  `protocol imap; listen unix:%%DIR%%/mail.sock; listen ${LISTEN6}:%%PORT%%;`,
])

/** What the last client was asked about, and what its server was told. */
async function known(): Promise<{ asked: string[]; told: string }> {
  await eventually(() => mails.said.at(-1)!.split('\r\n').length > 3)
  const fields = auth.requests.at(-1)!
  const asked = ['Auth-Method', 'Auth-User', 'Auth-Pass', 'Auth-Protocol'].map(name => fields.get(name)!)
  return { asked, told: mails.said.at(-1)! }
}

test('LOGIN takes words, quoted strings and literals, asked for or not', async () => {
  const forms: [string[], string][] = [
    [['a1 LOGIN me secret\r\n'], 'a1 OK welcome\r\n'],
    [['a1 login "me" "sec\\"ret\\\\"\r\n'], 'a1 OK welcome\r\n'],
    [['a1 LOGIN {2}\r\n', 'me {6}\r\n', 'secret\r\n'], 'a1 OK welcome\r\n'],
    [['a1 LOGIN {2+}\r\nme {6+}\r\nsecret\r\n'], 'a1 OK welcome\r\n'],
  ]
  for (const [parts, welcomed] of forms) {
    const client = await proxy.client()
    for (const part of parts.slice(0, -1)) assert.equal(await say(client, part), '+ OK\r\n')
    assert.equal(await say(client, parts.at(-1)!), welcomed)
    const secret = parts[0]!.includes('\\') ? 'sec"ret\\' : 'secret'
    const { asked, told } = await known()
    assert.deepEqual(asked, ['plain', 'me', secret, 'imap'])
    assert.equal(told, `a1 LOGIN {2}\r\nme {${secret.length}}\r\n${secret}\r\n`)
    client.destroy()
  }
})

test('AUTHENTICATE with each mechanism, its first answer told at once or later', async () => {
  const plain = base64('\0me\0pass word')
  for (const [line, ...answers] of [
    ['PLAIN', plain],
    [`PLAIN ${plain}`],
    ['LOGIN', base64('me'), base64('pass word')],
    [`LOGIN ${base64('me')}`, base64('pass word')],
  ]) {
    const client = await proxy.client()
    let text = await say(client, `b2 AUTHENTICATE ${line}\r\n`)
    for (const one of answers) {
      assert.match(text, /^\+ (?:VXNlcm5hbWU6|UGFzc3dvcmQ6)?\r\n$/)
      text = await say(client, `${one}\r\n`)
    }
    assert.equal(text, 'b2 OK welcome\r\n')
    const { asked, told } = await known()
    assert.deepEqual(asked, ['plain', 'me', 'pass%20word', 'imap'])
    assert.equal(told, 'b2 LOGIN {2}\r\nme {9}\r\npass word\r\n')
    client.destroy()
  }
})

test('who does not tell a password logs in with that of who knows it', async () => {
  auth.script = () => welcome(mails.port, 'Auth-User: mailbox', 'Auth-Pass: theirs')
  const client = await proxy.client()
  const challenge = await say(client, 'c AUTHENTICATE CRAM-MD5\r\n')
  const salt = Buffer.from(challenge.slice(2), 'base64').toString()
  assert.match(salt, /^<\d+\.\d+@mail\.example>$/)
  assert.equal(await say(client, `${base64(`me ${'0'.repeat(32)}`)}\r\n`), 'c OK welcome\r\n')
  const { asked, told } = await known()
  assert.deepEqual(asked, ['cram-md5', 'me', '0'.repeat(32), 'imap'])
  assert.equal(auth.requests.at(-1)!.get('Auth-Salt'), salt)
  assert.equal(told, 'c LOGIN {7}\r\nmailbox {6}\r\ntheirs\r\n')
  const other = await proxy.client()
  await say(other, 'd AUTHENTICATE EXTERNAL\r\n')
  assert.equal(await say(other, `${base64('me')}\r\n`), 'd OK welcome\r\n')
  assert.deepEqual((await known()).asked, ['external', 'me', '', 'imap'])
  auth.script = () => welcome(mails.port)
  const third = await proxy.client()
  await say(third, `e AUTHENTICATE CRAM-MD5\r\n`)
  await third.send(`${base64(`me ${'0'.repeat(32)}`)}\r\n`)
  assert.equal(await third.closed(), '* BAD internal server error\r\n')
  await eventually(() => proxy.errorLog().includes('did not send password while in http auth state'))
})

test('what a client can do it is told, and what it cannot is no command', async () => {
  const client = await proxy.client(1)
  assert.equal(
    await say(client, 'a CAPABILITY\r\n', 'completed\r\n'),
    '* CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN\r\na OK completed\r\n',
  )
  assert.equal(await say(client, 'b noop\r\n'), 'b OK completed\r\n')
  assert.equal(await say(client, 'c AUTHENTICATE CRAM-MD5\r\n'), 'c BAD invalid command\r\n')
  assert.equal(await say(client, 'd STARTTLS\r\n'), 'd BAD invalid command\r\n')
  assert.equal(await say(client, 'e LOGIN me\r\n'), 'e BAD invalid command\r\n')
  assert.equal(await say(client, 'f LOGIN "" x\r\n'), 'f BAD invalid command\r\n')
  assert.equal(await say(client, 'g AUTHENTICATE PLAIN ====?\r\n'), 'g BAD invalid command\r\n')
  await client.send('h LOGOUT\r\nh LOGIN me secret\r\n')
  const asked = auth.requests.length
  assert.equal(await client.closed(), '* BYE\r\nh OK completed\r\n')
  assert.equal(auth.requests.length, asked)
})

test('a command where an answer was due is neither', async () => {
  const client = await proxy.client()
  await say(client, 'a AUTHENTICATE LOGIN bWU=\r\n')
  assert.equal(await say(client, 'b LOGIN me secret\r\n'), 'a BAD invalid command\r\n')
  assert.equal(await say(client, 'b LOGIN me secret\r\n'), 'b OK welcome\r\n')
})

test('after max_errors lines that are none the session ends, and what came with them is not read', async () => {
  const client = await proxy.client(1)
  const asked = auth.requests.length
  await client.send('a FOO\r\n?\r\nb FOO\r\nc LOGIN me secret\r\n')
  assert.equal(await client.closed(), 'a BAD invalid command\r\n* BAD invalid command\r\n')
  assert.equal(auth.requests.length, asked)
  await eventually(() => proxy.errorLog().includes('client sent too many invalid commands while in auth state'))
  assert.equal(proxy.errorLog().match(/too many invalid/g)!.length, 1)
})

test('a command may be as long as imap_client_buffer, in one piece or in many', async () => {
  const noop = (size: number): string => `a NOOP ${'x'.repeat(size - 9)}\r\n`
  const client = await proxy.client()
  assert.equal(await say(client, noop(256)), 'a OK completed\r\n')
  await client.send(noop(257))
  assert.equal(await client.closed(), 'a BAD invalid command\r\n')
  const slow = await proxy.client()
  await slow.send(noop(2000).slice(0, 255))
  await slow.send('x')
  assert.equal(await slow.closed(), 'a BAD invalid command\r\n')
  const literal = await proxy.client()
  assert.equal(await say(literal, 'a LOGIN {99999}\r\n'), '+ OK\r\n')
  await literal.send('x'.repeat(300))
  assert.equal(await literal.closed(), 'a BAD invalid command\r\n')
  const unasked = await proxy.client()
  await unasked.send('a FOO {3+}\r\nabc\r\n')
  assert.equal(await unasked.closed(), 'a BAD invalid command\r\n')
})

test('who goes on talking after the last words is cut off', async () => {
  const client = await proxy.client()
  assert.equal(await say(client, 'a LOGOUT\r\n', 'completed\r\n'), '* BYE\r\na OK completed\r\n')
  const talk = Buffer.alloc(100_000, 'x')
  let sent = 0
  while (!client.socket.destroyed) {
    await client.send(talk).catch(() => {})
    sent += talk.length
  }
  assert.ok(sent < 100_000_000, `${sent} bytes were read`)
})

test('a refused client hears why, with its tag, and may try again where it is made to wait', async () => {
  auth.script = () => answer('Auth-Status: Wrong password')
  const once = await proxy.client()
  await once.send('a LOGIN me x\r\n')
  assert.equal(await once.closed(), 'a NO Wrong password\r\n')
  await eventually(() =>
    /client login failed: "Wrong password" while in http auth state.*login: "me"/.test(proxy.errorLog()),
  )
  auth.script = fields =>
    fields.get('Auth-Login-Attempt') === '1'
      ? answer('Auth-Status: Wrong password', 'Auth-Wait: 1')
      : welcome(mails.port)
  const twice = await proxy.client()
  // What is said meanwhile is kept.
  await twice.send('b LOGIN me x\r\nc LOGIN me y\r\n')
  assert.equal(await twice.until('welcome\r\n'), 'b NO Wrong password\r\nc OK welcome\r\n')
  auth.script = () => welcome(mails.port)
})

test('commands sent together with the login go to the server, and bytes both ways from then on', async () => {
  const client = await proxy.client()
  await client.send('a LOGIN me x\r\nb SELECT inbox\r\n')
  assert.equal(await client.until('SELECT\r\n'), 'a OK welcome\r\nb OK SELECT\r\n')
  assert.equal(await say(client, 'c LOGOUT\r\n', 'LOGOUT\r\n'), '* BYE\r\nc OK LOGOUT\r\n')
  client.end()
  await client.closed()
  await eventually(() =>
    /client logged in, client: 127.0.0.1.*\n[^]*proxied session done, client/.test(proxy.errorLog()),
  )
})

test('clients of other families are called as nginx does', async test => {
  if (!needsIpv6(test)) return
  const path = `${proxy.dir}/mail.sock`
  const [near, far] = [await raw(t, path), await raw(t, { host: '::1', port: proxy.ports[2]! })]
  for (const client of [near, far]) {
    await client.until('ready\r\n')
    assert.equal(await say(client, 'a LOGIN me x\r\n'), 'a OK welcome\r\n')
  }
  const log = proxy.errorLog()
  assert.ok(log.includes(`client unix: connected to unix:${path}\n`), log)
  assert.ok(log.includes(`client [::1]:${far.socket.localPort} connected to [::1]:${proxy.ports[2]}\n`), log)
  assert.deepEqual(
    auth.requests.slice(-2).map(fields => fields.get('Client-IP')),
    ['unix:', '::1'],
  )
  await eventually(() => proxy.errorLog().includes('client logged in, client: ::1, server: [::1]:'))
})

test("Python's imaplib logs in", async t => {
  if (!needs(t, 'python3')) return
  const program = `
import imaplib, sys
for way in ('login', 'plain', 'cram'):
    m = imaplib.IMAP4('127.0.0.1', int(sys.argv[1]))
    if way == 'login': print(m.login('me', 'pass word'))
    elif way == 'plain': print(m.authenticate('PLAIN', lambda _: b'\\0me\\0pass word'))
    else: print(m.login_cram_md5('me', 'pass word'))
    print(m.noop(), m.logout()[0])
`
  auth.script = () => welcome(mails.port, 'Auth-Pass: pass word')
  // It looks for the mechanism among the capabilities.
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', program, String(proxy.port)])
  auth.script = () => welcome(mails.port)
  const session = "('OK', [b'welcome'])\n('OK', [b'NOOP']) BYE\n"
  assert.equal(stdout, session.repeat(3))
})
