// POP3 through the proxy: every way to log in, what is refused, and what goes on afterwards.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { promisify } from 'node:util'
import { eventually, fileScope, needs, PYTHON } from '../helpers/index.ts'
import { answer, authServer, base64, pop3Store, say, serveMail, welcome } from './servers.ts'

const t = fileScope()
const mails = await pop3Store(t)
const auth = await authServer(t, () => welcome(mails.port))
const proxy = await serveMail(t, auth, [
  'protocol pop3; pop3_auth plain apop cram-md5 external;',
  'protocol pop3; pop3_capabilities TOP USER; max_errors 3;',
])

function asked(): string[] {
  const fields = auth.requests.at(-1)!
  return ['Auth-Method', 'Auth-User', 'Auth-Pass', 'Auth-Protocol'].map(name => fields.get(name)!)
}

test('USER and PASS take all that follows them', async () => {
  const client = await proxy.client(1)
  assert.equal(await say(client, 'user john doe\r\n'), '+OK\r\n')
  assert.equal(await say(client, 'Pass a  secret \r\n'), '+OK PASS\r\n')
  assert.deepEqual(asked(), ['plain', 'john%20doe', 'a%20%20secret%20', 'pop3'])
  assert.equal(mails.said.at(-1), 'USER john doe\r\nPASS a  secret \r\n')
  assert.equal(await say(client, 'STAT\r\n'), '+OK 2 320\r\n')
})

test('AUTH with each mechanism, its first answer told at once or later', async () => {
  for (const [line, ...answers] of [
    ['PLAIN', base64('\0me\0secret')],
    [`plain ${base64('\0me\0secret')}`],
    ['LOGIN', base64('me'), base64('secret')],
    [`LOGIN ${base64('me')}`, base64('secret')],
  ]) {
    const client = await proxy.client()
    let text = await say(client, `AUTH ${line}\r\n`)
    for (const one of answers) {
      assert.match(text, /^\+ (?:VXNlcm5hbWU6|UGFzc3dvcmQ6)?\r\n$/)
      text = await say(client, `${one}\r\n`)
    }
    assert.equal(text, '+OK PASS\r\n')
    assert.deepEqual(asked(), ['plain', 'me', 'secret', 'pop3'])
    assert.equal(mails.said.at(-1), 'USER me\r\nPASS secret\r\n')
  }
})

test('APOP and CRAM-MD5 answer a challenge that no other session has', async () => {
  auth.script = () => welcome(mails.port, 'Auth-Pass: theirs')
  const digest = '0123456789abcdef'.repeat(2)
  const client = await proxy.client(0, '')
  const [, salt] = /^\+OK POP3 ready (<\d+\.\d+@mail\.example>)\r\n$/.exec(await client.until('\r\n'))!
  assert.equal(await say(client, `APOP me ${digest}\r\n`), '+OK PASS\r\n')
  assert.deepEqual(asked(), ['apop', 'me', digest, 'pop3'])
  assert.equal(auth.requests.at(-1)!.get('Auth-Salt'), salt)
  assert.equal(mails.said.at(-1), 'USER me\r\nPASS theirs\r\n')
  const other = await proxy.client()
  const challenge = Buffer.from((await say(other, 'AUTH CRAM-MD5\r\n')).slice(2), 'base64').toString()
  assert.match(challenge, /^<\d+\.\d+@mail\.example>$/)
  assert.notEqual(challenge, salt)
  assert.equal(await say(other, `${base64(`me ${digest}`)}\r\n`), '+OK PASS\r\n')
  assert.deepEqual(asked(), ['cram-md5', 'me', digest, 'pop3'])
  assert.equal(auth.requests.at(-1)!.get('Auth-Salt'), challenge)
  auth.script = () => welcome(mails.port)
})

test('capabilities and mechanisms are told as they are configured', async () => {
  const all = await proxy.client()
  const listed = '+OK Capability list follows\r\nTOP\r\nUSER\r\n'
  assert.equal(await say(all, 'CAPA\r\n', '\r\n.\r\n'), `${listed}UIDL\r\nSASL PLAIN LOGIN CRAM-MD5 EXTERNAL\r\n.\r\n`)
  const plain = await proxy.client(1)
  assert.equal(await say(plain, 'CAPA\r\n', '\r\n.\r\n'), `${listed}SASL PLAIN LOGIN\r\n.\r\n`)
  assert.equal(await say(plain, 'AUTH\r\n', '\r\n.\r\n'), '+OK methods supported:\r\nPLAIN\r\nLOGIN\r\n.\r\n')
})

test('what stands in a wrong place or is none is no command', async () => {
  const client = await proxy.client(1)
  const no = '-ERR invalid command\r\n'
  assert.equal(await say(client, 'PASS secret\r\n'), no)
  assert.equal(await say(client, 'USER\r\n'), no)
  assert.equal(await say(client, 'APOP me 1\r\n'), no)
  assert.equal(await say(client, 'STLS\r\n'), no)
  assert.equal(await say(client, 'AUTH CRAM-MD5\r\n'), no)
  assert.equal(await say(client, `AUTH PLAIN ${base64('\0me')}\r\n`), no)
  // A step back to the beginning.
  assert.equal(await say(client, 'USER me\r\nUSER you\r\nPASS x\r\nNOOP\r\n', '+OK\r\n'), '+OK\r\n')
  assert.equal(await client.until('+OK\r\n'), `${no}${no}+OK\r\n`)
  await client.send('A\r\nB\r\nQUIT x y z w\r\n')
  assert.equal(await client.closed(), no.repeat(3))
  const quitting = await proxy.client(1)
  await quitting.send('QUIT\r\nUSER me\r\n')
  assert.equal(await quitting.closed(), '+OK\r\n')
})

test('a refused client hears why, and may try again where it is made to wait', async () => {
  auth.script = fields =>
    fields.get('Auth-Login-Attempt') === '1' ? answer('Auth-Status: No such user', 'Auth-Wait: 1') : welcome(mails.port)
  const client = await proxy.client()
  await say(client, 'USER me\r\n')
  assert.equal(await say(client, 'PASS x\r\n'), '-ERR No such user\r\n')
  assert.equal(await say(client, 'USER me\r\n'), '+OK\r\n')
  assert.equal(await say(client, 'PASS y\r\n'), '+OK PASS\r\n')
  auth.script = () => answer('Auth-Status: No such user')
  const other = await proxy.client()
  await other.send('USER me\r\nPASS x\r\n')
  assert.equal(await other.closed(), '+OK\r\n-ERR No such user\r\n')
  auth.script = () => welcome(mails.port)
})

test('a name with a line break in it becomes no command', async () => {
  const client = await proxy.client()
  const before = mails.said.length
  await client.send(`AUTH PLAIN ${base64('\0me\r\nDELE 1\0x')}\r\n`)
  assert.equal(await client.closed(), '-ERR internal server error\r\n')
  assert.equal(asked()[1], 'me%0D%0ADELE%201')
  assert.equal(mails.said.length, before)
  await eventually(() => proxy.errorLog().includes('with a line break cannot be passed to upstream'))
})

test("Python's poplib logs in", async t => {
  if (!needs(t, 'python3')) return
  const program = `
import poplib, sys
for way in ('user', 'apop'):
    m = poplib.POP3('127.0.0.1', int(sys.argv[1]))
    if way == 'user': print(m.user('me'), m.pass_('pass word'))
    else: print(m.apop('me', 'secret'))
    print(m.stat(), m.quit())
`
  auth.script = () => welcome(mails.port, 'Auth-Pass: pass word')
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', program, String(proxy.port)])
  auth.script = () => welcome(mails.port)
  assert.equal(stdout, "b'+OK' b'+OK PASS'\n(2, 320) b'+OK QUIT'\nb'+OK PASS'\n(2, 320) b'+OK QUIT'\n")
})
