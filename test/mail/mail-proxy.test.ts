// The server behind: every step of a login there can go wrong, bytes pass both ways with the pace of the slower side, and the
// PROXY protocol is heard and spoken.

import assert from 'node:assert/strict'
import type net from 'node:net'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, fileScope, freePort, raw } from '../helpers/index.ts'
import { authServer, base64, imapStore, say, serveMail, smtpStore, store, welcome } from './servers.ts'

const t = fileScope()
const imap = await imapStore(t)
const smtp = await smtpStore(t)
/** Says what a test has it say. */
const odd = await store(t, '', () => '')
const auth = await authServer(t, fields => welcome(Number(fields.get('Auth-User'))))
const nobody = await freePort()
const proxy = await serveMail(t, auth, [
  'protocol imap; proxy_buffer 128;',
  'protocol pop3; proxy_pass_error_message on;',
  'protocol smtp; xclient off; proxy_pass_error_message on;',
  'protocol imap; timeout 200ms;',
  'protocol imap; proxy_timeout 200ms;',
  'protocol imap; proxy_protocol on;',
  'protocol imap; proxy_protocol v2;',
  'protocol imap; proxy_protocol on; set_real_ip_from 127.0.0.0/8; listen 127.0.0.1:%%PORT%% proxy_protocol;',
  'protocol smtp; set_real_ip_from 192.0.2.0/24; listen 127.0.0.1:%%PORT%% proxy_protocol;',
])
const [IMAP, POP3, SMTP, HASTY, IDLE, TELLING, TELLING_V2, TOLD, UNTRUSTING] = [0, 1, 2, 3, 4, 5, 6, 7, 8]

const FAILED = '* BAD internal server error\r\n'

/** Logs in at the server on `port`. */
async function login(at: number, port: number): Promise<string> {
  const client = await proxy.client(at)
  if (at === POP3) await say(client, `USER ${port}\r\n`)
  const last = at === POP3 ? 'PASS x' : at === SMTP ? `AUTH PLAIN ${base64(`\0${port}\0x`)}` : `a LOGIN ${port} x`
  await client.send(`${last}\r\n`)
  return client.closed()
}

/** The only connection there is to the odd server. */
function only(): Promise<net.Socket> {
  return eventually(() => (odd.sockets.size === 1 ? [...odd.sockets][0] : undefined)) as Promise<net.Socket>
}

async function logged(level: string, text: string): Promise<void> {
  const line = new RegExp(`\\[${level}\\] \\S+ \\S+ ${RegExp.escape(text)}`)
  await eventually(() => line.test(proxy.errorLog()) || Promise.reject(new Error(proxy.errorLog().slice(-2000))))
}

test('a server that is not there', async () => {
  assert.equal(await login(IMAP, nobody), FAILED)
  const where = `client: 127.0.0.1, server: 127.0.0.1:${proxy.ports[IMAP]}, login: "${nobody}", upstream: 127.0.0.1:${nobody}`
  await logged('error', `connect() failed (111: Connection refused) while connecting to upstream, ${where}`)
})

test('a server that does not speak the protocol, or will not have the client', async () => {
  odd.greeting = '220 smtp here\r\n'
  assert.equal(await login(IMAP, odd.port), FAILED)
  await logged('error', 'upstream sent invalid response: "220 smtp here" while reading response from upstream, client')
  odd.greeting = '* OK\r\n'
  odd.script = line => (line.startsWith('a LOGIN') ? 'a NO not now\r\n' : '')
  assert.equal(await login(IMAP, odd.port), FAILED)
  await logged('error', 'upstream sent invalid response: "a NO not now" while reading response from upstream, client')
})

test('proxy_pass_error_message: the client hears what the server says', async () => {
  odd.greeting = '+OK\r\n'
  odd.script = line => (line.startsWith('PASS') ? '-ERR wrong password\r\n' : '+OK\r\n')
  assert.equal(await login(POP3, odd.port), '-ERR wrong password\r\n')
  await logged('info', 'upstream sent invalid response: "-ERR wrong password" while reading response from upstream')
  odd.greeting = '554-no\r\n554 service\r\n'
  assert.equal(await login(SMTP, odd.port), '554-no\r\n554 service\r\n')
})

test('answers of several lines, and in pieces', async () => {
  odd.greeting = '* O'
  odd.script = line => {
    if (line.startsWith('a LOGIN')) return '+'
    return line.endsWith('}') ? '+ \r\n' : `* CAPABILITY IMAP4\r\n* OK and more\r\na OK in\r\n`
  }
  const client = await proxy.client(IMAP)
  await client.send(`a LOGIN ${odd.port} x\r\n`)
  const socket = await only()
  socket.write('K\r\n')
  await eventually(() => odd.said.at(-1)!.includes('LOGIN'))
  socket.write(' go\r\n')
  assert.equal(await client.until('in\r\n'), '* CAPABILITY IMAP4\r\n* OK and more\r\na OK in\r\n')
  client.destroy()
})

test('an answer longer than proxy_buffer, or an end in its midst', async () => {
  odd.greeting = `* OK ${'x'.repeat(500)}`
  assert.equal(await login(IMAP, odd.port), FAILED)
  await logged('error', `upstream sent too long response line: "* OK ${'x'.repeat(123)}" while reading response`)
  odd.greeting = '* OK half'
  const client = await proxy.client(IMAP)
  await client.send(`a LOGIN ${odd.port} x\r\n`)
  const socket = await only()
  socket.end()
  assert.equal(await client.closed(), FAILED)
  await logged('error', 'upstream prematurely closed connection while reading response from upstream')
})

test('a server that says nothing, a client that says nothing', async () => {
  odd.greeting = ''
  // Where the machine is slow, it is the client that has been too slow.
  await eventually(async () => (await login(HASTY, odd.port)) === FAILED)
  await logged('error', 'upstream timed out (110: Connection timed out) while connecting to upstream')
  const silent = await proxy.client(HASTY)
  assert.equal(await silent.closed(), '')
  await logged('info', 'client timed out (110: Connection timed out) while in auth state')
  const idle = await proxy.client(IDLE)
  await say(idle, `a LOGIN ${imap.port} x\r\n`)
  assert.equal(await idle.closed(), '')
  await logged('info', 'client timed out (110: Connection timed out) while proxying')
})

test('the session ends with either side', async () => {
  for (const end of ['client', 'store', 'reset'] as const) {
    const client = await proxy.client(IMAP)
    assert.equal(await say(client, `a LOGIN ${imap.port} x\r\n`), 'a OK welcome\r\n')
    await eventually(() => imap.sockets.size === 1)
    if (end === 'client') client.end()
    else if (end === 'reset') client.reset()
    else for (const socket of imap.sockets) socket.end('* BYE\r\n')
    await eventually(() => imap.sockets.size === 0)
    if (end === 'store') assert.equal(await client.closed(), '* BYE\r\n')
  }
  await logged('info', 'recv() failed (104: Connection reset by peer) while proxying and reading from client')
  await eventually(() => proxy.errorLog().match(/proxied session done, client/g)!.length >= 3)
})

test('much data for a slow client waits with the server, and all of it arrives', async () => {
  const size = 50_000_000
  odd.greeting = '* OK\r\n'
  let written = 0
  odd.script = (line, socket) => {
    if (line.startsWith('b FETCH')) pump(socket)
    return line.startsWith('b') ? '' : line === 'x' ? 'a OK\r\n' : '+ \r\n'
  }
  const pump = (socket: net.Socket): void => {
    while (written < size) {
      written += 100_000
      if (!socket.write(Buffer.alloc(100_000, 'm'))) {
        socket.once('drain', () => pump(socket))
        return
      }
    }
    socket.end('done\r\n')
  }
  const client = await proxy.client(IMAP)
  await say(client, `a LOGIN ${odd.port} x\r\n`)
  let came = 0
  const { socket } = client
  socket.removeAllListeners('data')
  socket.on('data', bytes => void (came += bytes.length))
  socket.pause()
  await client.send('b FETCH\r\n')
  // It comes to rest where the buffers of four sockets are full.
  let before = 0
  await eventually(async () => {
    before = written
    await sleep(200)
    return written > 0 && written === before
  })
  assert.ok(written < size, `${written} bytes were taken`)
  socket.resume()
  await eventually(() => client.ended)
  assert.equal(came, size + 'done\r\n'.length)
})

test('the PROXY protocol, spoken', async () => {
  const client = await proxy.client(TELLING)
  const { localPort } = client.socket
  await say(client, `a LOGIN ${odd.port} x\r\n`).catch(() => {})
  assert.match(odd.said.at(-1)!, new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${proxy.ports[TELLING]}\r\n`))
  const other = await proxy.client(TELLING_V2)
  await other.send(`a LOGIN ${odd.port} x\r\n`)
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(other.socket.localPort!, 0)
  ports.writeUInt16BE(proxy.ports[TELLING_V2]!, 2)
  const header = `\r\n\r\n\0\r\nQUIT\n!\x11\0\x13\x7f\0\0\x01\x7f\0\0\x01${ports.toString('latin1')}`
  await eventually(() => odd.said.at(-1)!.startsWith(header))
})

test('the PROXY protocol, heard: from whom it is trusted, it is the client', async () => {
  const before = imap.said.length
  const client = await proxy.client(TOLD, '')
  await client.send('PROXY TCP4 192.0.2.1 192.0.2.2 1111 143\r\n')
  assert.equal(await client.until('\r\n'), '* OK IMAP4 ready\r\n')
  await client.send(`a LOGIN ${imap.port} x\r\n`)
  await eventually(() => imap.said.length > before)
  const asked = (...names: string[]): (string | undefined)[] => names.map(name => auth.requests.at(-1)!.get(name))
  const names = ['Client-IP', 'Proxy-Protocol-Addr', 'Proxy-Protocol-Port']
  assert.deepEqual(asked(...names), ['192.0.2.1', '192.0.2.1', '1111'])
  assert.deepEqual(asked('Proxy-Protocol-Server-Addr', 'Proxy-Protocol-Server-Port'), ['192.0.2.2', '143'])
  await eventually(() => imap.said.at(-1)!.startsWith(`PROXY TCP4 192.0.2.1 127.0.0.1 1111 ${proxy.ports[TOLD]}\r\n`))

  const other = await proxy.client(UNTRUSTING, '')
  await other.send('PROXY TCP6 2001:db8::1 2001:db8::2 1111 25\r\n')
  await other.until('ready\r\n')
  assert.equal(await say(other, `AUTH PLAIN ${base64(`\0${smtp.port}\0x`)}\r\n`), '235 2.0.0 OK\r\n')
  assert.deepEqual(asked(...names), ['127.0.0.1', '2001:db8::1', '1111'])
  assert.match(smtp.said.at(-1)!, /XCLIENT ADDR=127\.0\.0\.1 /)

  const wrong = await proxy.client(UNTRUSTING, '')
  await wrong.send('EHLO me\r\n\r\n\r\n\r\n')
  assert.equal(await wrong.closed(), '')
  await logged('error', 'broken header: "EHLO me')
})

test('a proxied connection carries bytes of every kind', async () => {
  const client = await raw(t, proxy.ports[IMAP]!)
  await client.until('ready\r\n')
  odd.greeting = '* OK\r\n'
  odd.script = line => (line === 'x' ? 'a OK\r\n' : line.startsWith('b') ? line : '+ \r\n')
  await say(client, `a LOGIN ${odd.port} x\r\n`)
  const bytes = `b${String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i)).replace('\n', '')}`
  await client.send(`${bytes}\r\n`)
  assert.equal(await client.until('\xff'), bytes)
})
