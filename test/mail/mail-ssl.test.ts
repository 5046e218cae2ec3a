// TLS towards mail clients: from the first byte or by STARTTLS, clients with certificates, and what the server that knows the
// users is told of it.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { certificate } from '../helpers/certificates.ts'
import { atEnd, eventually, fileScope, needs, PYTHON, tempDir, type RawClient } from '../helpers/index.ts'
import { authServer, base64, imapStore, say, serveMail, smtpStore, welcome } from './servers.ts'

const t = fileScope()
const dir = tempDir(t)
for (const name of ['a', 'ca', 'stranger']) certificate(dir, name, { ec: true })
certificate(dir, 'client', { ec: true, issuer: 'ca', subject: '/O=Mail, Inc./CN=client' })
const imap = await imapStore(t)
const smtp = await smtpStore(t)
const auth = await authServer(t, fields => welcome(fields.get('Auth-Protocol') === 'imap' ? imap.port : smtp.port))
const own = 'ssl_certificate a.crt; ssl_certificate_key a.key;'
const proxy = await serveMail(
  t,
  auth,
  [
    `protocol imap; listen 127.0.0.1:%%PORT%% ssl; ${own}`,
    `protocol imap; starttls on; ${own}`,
    `protocol pop3; starttls only; ${own}`,
    `protocol smtp; starttls only; ${own}`,
    `protocol imap; listen 127.0.0.1:%%PORT%% ssl; ${own} ssl_verify_client on; ssl_client_certificate ca.crt;
      auth_http_pass_client_cert on;`,
    `protocol smtp; listen 127.0.0.1:%%PORT%% ssl; ${own} ssl_verify_client optional; ssl_client_certificate ca.crt;`,
    `protocol smtp; starttls on; ${own} proxy_protocol v2; listen 127.0.0.1:%%PORT%% proxy_protocol;`,
  ],
  { dir },
)
const [IMAPS, IMAP, POP3, SMTP, VERIFYING, ASKING, PROXIED] = [0, 1, 2, 3, 4, 5, 6]

/** A secured client; `read` gives what comes up to and with `end`. */
class Secured {
  readonly socket: tls.TLSSocket
  text = ''
  closed = false

  constructor(options: tls.ConnectionOptions) {
    this.socket = tls.connect({ rejectUnauthorized: false, ...options })
    this.socket.on('data', bytes => (this.text += bytes.toString('latin1')))
    this.socket.on('error', () => {})
    this.socket.on('close', () => (this.closed = true))
    atEnd(t, () => this.socket.destroy())
  }

  async read(end: string): Promise<string> {
    await eventually(() => this.text.includes(end) || (this.closed && Promise.reject(new Error(this.text))))
    const { text } = this
    this.text = ''
    return text
  }

  async say(text: string, end = '\r\n'): Promise<string> {
    this.socket.write(text, 'latin1')
    return this.read(end)
  }
}

function pair(name: string): tls.ConnectionOptions {
  return { cert: readFileSync(join(dir, `${name}.crt`)), key: readFileSync(join(dir, `${name}.key`)) }
}

/** From plain text to TLS on the same connection. */
async function upgrade(client: RawClient): Promise<Secured> {
  client.socket.removeAllListeners('data')
  const secured = new Secured({ socket: client.socket })
  await once(secured.socket, 'secureConnect')
  return secured
}

test('TLS from the first byte: the server that knows the users is told', async () => {
  const client = new Secured({ port: proxy.ports[IMAPS]! })
  assert.equal(await client.read('\r\n'), '* OK IMAP4 ready\r\n')
  assert.equal(await client.say('a LOGIN me secret\r\n'), 'a OK welcome\r\n')
  const fields = auth.requests.at(-1)!
  assert.equal(fields.get('Auth-SSL'), 'on')
  assert.equal(fields.get('Auth-SSL-Protocol'), client.socket.getProtocol())
  assert.equal(fields.get('Auth-SSL-Cipher'), client.socket.getCipher().name)
  assert.equal(fields.has('Auth-SSL-Verify'), false)
  // It ends in order, so that nobody takes it for cut off.
  const ended = once(client.socket, 'end')
  for (const socket of imap.sockets) socket.end()
  await ended
})

test('STARTTLS: what was said in plain text behind it, or before, counts no more', async () => {
  const plain = await proxy.client(IMAP)
  assert.equal(
    await say(plain, 'a CAPABILITY\r\n', 'completed\r\n'),
    '* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN STARTTLS\r\na OK completed\r\n',
  )
  assert.equal(await say(plain, 'b STARTTLS\r\nc LOGOUT\r\n'), 'b OK completed\r\n')
  const client = await upgrade(plain)
  assert.equal(
    await client.say('d CAPABILITY\r\n', 'completed\r\n'),
    '* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN\r\nd OK completed\r\n',
  )
  assert.equal(await client.say('e STARTTLS\r\n'), 'e BAD invalid command\r\n')
  assert.equal(await client.say('f LOGIN me secret\r\n'), 'f OK welcome\r\n')
  assert.equal(auth.requests.at(-1)!.get('Auth-SSL'), 'on')
  await eventually(() => /client logged in, client: 127\.0\.0\.1 using starttls, server/.test(proxy.errorLog()))
})

test('where TLS is a must, nobody logs in without', async () => {
  const pop3 = await proxy.client(POP3)
  const no = '-ERR invalid command\r\n'
  assert.equal(await say(pop3, 'CAPA\r\n', '\r\n.\r\n'), '+OK Capability list follows\r\nTOP\r\nUIDL\r\nSTLS\r\n.\r\n')
  assert.equal(await say(pop3, 'USER me\r\n'), no)
  assert.equal(await say(pop3, `AUTH PLAIN ${base64('\0me\0x')}\r\n`), no)
  assert.equal(await say(pop3, 'STLS\r\n'), '+OK\r\n')
  assert.equal(await (await upgrade(pop3)).say('USER me\r\n'), '+OK\r\n')

  const plain = await proxy.client(SMTP)
  assert.equal(await say(plain, 'EHLO me\r\n', '250 STARTTLS\r\n'), '250-mail.example\r\n250 STARTTLS\r\n')
  assert.equal(await say(plain, `AUTH PLAIN ${base64('\0me\0x')}\r\n`), '500 5.5.1 Invalid command\r\n')
  assert.equal(await say(plain, 'STARTTLS\r\n'), '220 2.0.0 Start TLS\r\n')
  const secured = await upgrade(plain)
  assert.equal(await secured.say(`AUTH PLAIN ${base64('\0me\0x')}\r\n`), '235 2.0.0 OK\r\n')
  // It was not said since that it is called `me`.
  assert.match(smtp.said.at(-1)!, /^EHLO mail\.example\r\nXCLIENT [^\r\n]*\r\n$/)
})

test('certificates of clients: asked for or required, and told', async () => {
  const good = new Secured({ port: proxy.ports[VERIFYING]!, ...pair('client') })
  await good.read('ready\r\n')
  assert.equal(await good.say('a LOGIN me secret\r\n'), 'a OK welcome\r\n')
  const fields = auth.requests.at(-1)!
  const told = ['Verify', 'Subject', 'Issuer', 'Cert'].map(name => fields.get(`Auth-SSL-${name}`)!)
  assert.deepEqual(told.slice(0, 3), ['SUCCESS', 'CN=client,O=Mail\\, Inc.', 'CN=ca'])
  assert.equal(decodeURIComponent(told[3]!), readFileSync(join(dir, 'client.crt'), 'latin1'))
  assert.match(fields.get('Auth-SSL-Serial')!, /^[0-9A-F]+$/)
  assert.match(fields.get('Auth-SSL-Fingerprint')!, /^[0-9a-f]{40}$/)

  const none = new Secured({ port: proxy.ports[VERIFYING]! })
  assert.equal(await none.read('\r\n'), '* BYE No required SSL certificate\r\n')
  const bad = new Secured({ port: proxy.ports[VERIFYING]!, ...pair('stranger') })
  assert.equal(await bad.read('\r\n'), '* BYE SSL certificate error\r\n')
  const worse = new Secured({ port: proxy.ports[ASKING]!, ...pair('stranger') })
  assert.equal(await worse.read('\r\n'), '421 4.7.1 SSL certificate error\r\n')
  const without = new Secured({ port: proxy.ports[ASKING]! })
  await without.read('ready\r\n')
  assert.equal(await without.say(`AUTH PLAIN ${base64('\0me\0x')}\r\n`), '235 2.0.0 OK\r\n')
  assert.equal(auth.requests.at(-1)!.get('Auth-SSL-Verify'), 'NONE')
  await eventually(() => {
    const log = proxy.errorLog()
    assert.match(log, /client sent no required SSL certificate while SSL handshaking, client: 127\.0\.0\.1, server: /)
    assert.match(log, /client SSL certificate verify error: \(18:self-signed certificate\) while SSL handshaking/)
    return true
  })
})

test('handshakes that come to nothing are told', async () => {
  const silent = await proxy.client(IMAP)
  await say(silent, 'a STARTTLS\r\n')
  silent.end()
  await silent.closed()
  await eventually(() => proxy.errorLog().includes('peer closed connection in SSL handshake while in starttls state, '))
  const plain = await proxy.client(IMAPS, '')
  await plain.send('a LOGIN me secret\r\n')
  assert.equal(await plain.closed(), '')
  await eventually(() =>
    proxy.errorLog().includes('client sent plain text where TLS was to begin while SSL handshaking'),
  )
})

test('the server behind is told of TLS in the PROXY protocol', async () => {
  const before = smtp.said.length
  const plain = await proxy.client(PROXIED, '')
  await plain.send('PROXY TCP4 192.0.2.1 192.0.2.2 1111 25\r\n')
  await plain.until('ready\r\n')
  await say(plain, 'STARTTLS\r\n')
  const client = await upgrade(plain)
  client.socket.write(`AUTH PLAIN ${base64('\0me\0x')}\r\n`)
  await eventually(() => smtp.said.length > before && smtp.said.at(-1)!.includes('EHLO'))
  const head = smtp.said.at(-1)!
  assert.ok(head.startsWith('\r\n\r\n\0\r\nQUIT\n!\x11'))
  assert.ok(head.includes(client.socket.getProtocol()!) && head.includes(client.socket.getCipher().name))
  const fields = auth.requests.at(-1)!
  assert.equal(fields.get('Proxy-Protocol-Addr'), '192.0.2.1')
  assert.equal(fields.get('Client-IP'), '127.0.0.1')
})

test("Python's imaplib and smtplib secure the connection", async t => {
  if (!needs(t, 'python3')) return
  const program = `
import imaplib, smtplib, ssl, sys
c = ssl._create_unverified_context()
a = imaplib.IMAP4_SSL('127.0.0.1', int(sys.argv[1]), ssl_context=c)
print(a.login('me', 'x'), a.logout()[0])
b = imaplib.IMAP4('127.0.0.1', int(sys.argv[2]))
print(b.starttls(c)[0], b.login('me', 'x'), b.logout()[0])
s = smtplib.SMTP('127.0.0.1', int(sys.argv[3]), local_hostname='me')
print(s.starttls(context=c)[0], s.login('me', 'x'), s.noop()[0])
s.close()
`
  const ports = [IMAPS, IMAP, SMTP].map(at => String(proxy.ports[at]))
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', program, ...ports])
  const login = "('OK', [b'welcome']) BYE"
  assert.equal(stdout, `${login}\nOK ${login}\n220 (235, b'2.0.0 OK') 250\n`)
})
