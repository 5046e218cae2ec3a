// The server that knows the users: what it is asked, what it may answer, and what clients hear if it does not.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { eventually, fileScope, freePort, tempDir } from '../helpers/index.ts'
import { answer, authServer, imapStore, say, serveMail, welcome } from './servers.ts'

const t = fileScope()
const mails = await imapStore(t)
const auth = await authServer(t, () => welcome(mails.port))
const nobody = await freePort()
const dir = tempDir(t)
const unix = net.createServer(socket => {
  socket.once('data', bytes => {
    asked.push(bytes.toString('latin1'))
    socket.end(welcome(mails.port))
  })
})
const asked: string[] = []
unix.listen(`${dir}/auth.sock`)
await once(unix, 'listening')
t.after(async () => void unix.close())

const proxy = await serveMail(
  t,
  auth,
  [
    'protocol imap; auth_http_header X-Key secret; auth_http_header X-More "a b";',
    `protocol imap; auth_http 127.0.0.1:${nobody};`,
    `protocol imap; auth_http unix:%%DIR%%/auth.sock:/who?is=it;`,
    'protocol imap; auth_http_timeout 100ms;',
    'protocol pop3;',
    `protocol imap; auth_http http://localhost:${auth.port}/;`,
  ],
  { dir },
)
const [USUAL, NOBODY, UNIX, HASTY, POP3, NAMED] = [0, 1, 2, 3, 4, 5]

async function login(at = USUAL): Promise<string> {
  const client = await proxy.client(at)
  const heard = await say(client, 'a LOGIN me secret\r\n')
  client.destroy()
  return heard
}

const FAILED = '* BAD internal server error\r\n'
const WELCOME = 'a OK welcome\r\n'

/** It answers this, the client hears an error, and the log tells why. */
async function fails(text: string, why: string): Promise<void> {
  auth.script = () => text
  const before = proxy.errorLog().length
  assert.equal(await login(), FAILED, text)
  const where = ' while in http auth state, client: 127.0.0.1, server: 127.0.0.1:'
  await eventually(() => {
    const log = proxy.errorLog().slice(before)
    assert.ok(log.includes('[error] ') && log.includes(`auth http server 127.0.0.1:${auth.port} ${why}${where}`), log)
    return true
  })
}

test('the question is one of HTTP/1.0, all of it in fields', async () => {
  auth.script = () => welcome(mails.port)
  assert.equal(await login(), WELCOME)
  const fields = [...auth.requests.at(-1)!].map(([name, value]) => (name === '' ? value : `${name}: ${value}`))
  assert.deepEqual(fields, [
    'GET /auth HTTP/1.0',
    'Host: 127.0.0.1',
    'Auth-Method: plain',
    'Auth-User: me',
    'Auth-Pass: secret',
    'Auth-Protocol: imap',
    'Auth-Login-Attempt: 1',
    'Client-IP: 127.0.0.1',
    'X-Key: secret',
    'X-More: a b',
  ])
  assert.equal(await login(NAMED), WELCOME)
  assert.equal(auth.requests.at(-1)!.get(''), 'GET / HTTP/1.0')
  assert.equal(auth.requests.at(-1)!.get('Host'), 'localhost')
  assert.equal(auth.requests.at(-1)!.has('X-Key'), false)
})

test('a name cannot add fields of its own', async () => {
  const client = await proxy.client()
  await client.send('a LOGIN {16+}\r\nme\r\nAuth-User: x {3+}\r\na%b\r\n')
  assert.equal(await client.until('\r\n'), WELCOME)
  const fields = auth.requests.at(-1)!
  assert.equal(fields.get('Auth-User'), 'me%0D%0AAuth-User:%20x')
  assert.equal(fields.get('Auth-Pass'), 'a%25b')
})

test('it may be on a Unix socket', async () => {
  assert.equal(await login(UNIX), WELCOME)
  assert.match(asked.at(-1)!, /^GET \/who\?is=it HTTP\/1\.0\r\nHost: localhost\r\n/)
})

test('answers of many forms will do', async () => {
  const port = mails.port
  for (const text of [
    `Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: ${port}\r\n\r\n`,
    `HTTP/1.1 500 What?\nAUTH-STATUS:OK\nauth-server:   127.0.0.1   \nAuth-Port: ${port}\nX-Empty\nX-More:\n\nand a body`,
    `HTTP/1.0 200 OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: ${port}\r\n\r\n`,
  ]) {
    auth.script = () => text
    assert.equal(await login(), WELCOME, text)
    auth.script = (_, socket) => {
      // Byte by byte, and the connection stays open.
      for (const char of text) socket.write(char)
      return null
    }
    assert.equal(await login(), WELCOME, text)
  }
})

test('what it says of name and password counts', async () => {
  auth.script = () => welcome(mails.port, 'Auth-User: box', 'Auth-Pass: key')
  assert.equal(await login(), WELCOME)
  assert.match(mails.said.at(-1)!, /^a LOGIN \{3\}\r\nbox \{3\}\r\nkey\r\n/)
})

test('answers that lead nowhere are told in the log, and end the session', async () => {
  const server = 'Auth-Server: 127.0.0.1'
  const port = `Auth-Port: ${mails.port}`
  await fails(answer('Auth-Status: OK'), 'did not send server or port')
  await fails('\r\n\r\n', 'did not send server or port')
  await fails(answer(server), 'did not send server or port')
  await fails(answer('Auth-Server: mail.example', port), 'sent invalid server address:"mail.example"')
  await fails(answer(server, 'Auth-Port: 65536'), 'sent invalid server port:"65536"')
  await fails(answer(server, 'Auth-Port: 1x'), 'sent invalid server port:"1x"')
  await fails(answer('Auth Status: OK'), 'sent invalid header in response')
  await fails(answer('-Auth: OK'), 'sent invalid header in response')
  await fails('HTTP/1.0 200 OK\rX\r\n\r\n', 'sent invalid response')
  await fails(answer('Auth-Status: OK').slice(0, -2), 'prematurely closed connection')
  await fails('', 'prematurely closed connection')
  await fails(`X-Long: ${'x'.repeat(9000)}`, 'sent too long a header')
})

test('nobody there, or nobody who answers', async () => {
  assert.equal(await login(NOBODY), FAILED)
  const refused = `connect() failed (111: Connection refused), auth http server 127.0.0.1:${nobody} while in http auth state`
  await eventually(() => proxy.errorLog().includes(refused))
  auth.script = () => null
  assert.equal(await login(HASTY), FAILED)
  await eventually(() => proxy.errorLog().includes('timed out (110: Connection timed out) while in http auth state'))
})

test('WAIT: it is asked again after a while, about what it was asked before', async () => {
  auth.script = () => {
    auth.script = () => welcome(mails.port)
    return answer('Auth-Status: WAIT', 'Auth-Wait: 1')
  }
  const before = auth.requests.length
  const started = performance.now()
  assert.equal(await login(), WELCOME)
  assert.ok(performance.now() - started >= 1000)
  const both = auth.requests.slice(before)
  assert.equal(both.length, 2)
  assert.deepEqual(both[0], both[1])
})

test('a client that leaves while somebody is asked ends the question', async () => {
  const questions: net.Socket[] = []
  auth.script = (_, socket) => {
    questions.push(socket)
    return null
  }
  const client = await proxy.client(POP3)
  await client.send('USER me\r\nPASS x\r\nQUIT\r\n')
  const asked = (await eventually(() => questions[0])) as net.Socket
  client.end()
  await once(asked.resume(), 'end')
  const left = 'client prematurely closed connection while in http auth state, client: 127.0.0.1'
  await eventually(() => proxy.errorLog().includes(left))
  const other = await proxy.client(POP3)
  await other.send('USER me\r\nPASS x\r\n')
  const second = (await eventually(() => questions[1])) as net.Socket
  other.reset()
  await once(second.resume(), 'end')
  auth.script = () => welcome(mails.port)
  assert.equal(await login(), WELCOME)
})
