// What is logged of clients whose connections break, in nginx's words: what a read finds, and at what.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test, { after } from 'node:test'
import tls from 'node:tls'
import { certificate } from '../../helpers/certificates.ts'
import { get, headers, PREFACE, settings } from '../../helpers/http2.ts'
import { eventually, origin, serve, tempDir, type Server } from '../../helpers/index.ts'

const file = { after }
const dir = tempDir(file)
certificate(dir, 'a', { ec: true })
const up = await origin(file, () => {})
const server: Server = await serve(file, {
  dir,
  conf: `
    error_log error.log info;
    http {
      log_format heads '$status|$request|$request_length';
      access_log heads.log heads;
      ssl_certificate a.crt;
      ssl_certificate_key a.key;
      server {
        http2 on;
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% ssl;
        location / { return 200 ok; }
        location /slow { limit_rate 1; return 200 ${'x'.repeat(100)}; }
        location /up { proxy_pass http://${up.path}; }
      }
    }`,
})

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const SLOW = 'GET /slow HTTP/1.1\r\nHost: x\r\n\r\n'
const BODY = 'POST /up HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n'

interface Client {
  readonly raw: net.Socket
  readonly socket: net.Socket
}

async function connect(secure: boolean, protocol = 'http/1.1'): Promise<Client> {
  const raw = net.connect(server.ports[secure ? 1 : 0]!, '127.0.0.1')
  const socket = secure ? tls.connect({ socket: raw, rejectUnauthorized: false, ALPNProtocols: [protocol] }) : raw
  for (const one of [raw, socket]) one.on('error', () => {})
  file.after(() => raw.destroy())
  // A ticket comes when the server, too, has done with the handshake.
  await once(socket, secure ? 'session' : 'connect')
  return { raw, socket }
}

/** Sends, waits for an answer where there is one, breaks the connection, and waits until the log says so. */
async function told(
  secure: boolean,
  sent: string,
  answered: boolean,
  ends: (raw: net.Socket) => void,
  says: string,
): Promise<void> {
  const before = server.file('error.log').length
  const { raw, socket } = await connect(secure)
  if (sent !== '') await new Promise(resolve => socket.write(sent, resolve))
  if (answered) await once(socket, 'data')
  ends(raw)
  const wanted = new RegExp(says.replace(/[()]/g, '\\$&').replace('…', '.*'))
  const seen = (): string => server.file('error.log').slice(before)
  await eventually(() => wanted.test(seen()) || assert.fail(`${says}: ${seen()}`))
}

const reset = (raw: net.Socket): void => void raw.resetAndDestroy()
/** A record that nobody can have sealed. */
const forge = (raw: net.Socket): void => void raw.write(`\x17\x03\x03\0\x20${'x'.repeat(32)}`, 'latin1')
const BROKEN = '(104: Connection reset by peer)'
const RECORD = 'SSL_read() failed (SSL: error:…)'

for (const [what, secure, ends, cases] of [
  [
    'a connection that is reset',
    false,
    reset,
    [
      ['', false, `recv() failed ${BROKEN} while waiting for request, client: `],
      ['GET /a HT', false, `recv() failed ${BROKEN} while reading client request line, client: `],
      ['GET /b HTTP/1.1\r\nHo', false, `recv() failed ${BROKEN} while reading client request headers, client: `],
      [GET, true, `client 127.0.0.1 closed keepalive connection ${BROKEN}`],
      [SLOW, true, `client prematurely closed connection ${BROKEN}, client: `],
      [BODY, true, `recv() failed ${BROKEN}, client: `],
    ],
  ],
  [
    'one that is reset between two records of TLS',
    true,
    reset,
    [
      ['', false, 'client closed connection while waiting for request, client: '],
      ['GET /c HT', false, 'client prematurely closed connection while reading client request line, client: '],
      [GET, true, `client 127.0.0.1 closed keepalive connection ${BROKEN}`],
      [SLOW, true, `client prematurely closed connection ${BROKEN}, client: `],
      [BODY, true, 'client prematurely closed connection, client: '],
    ],
  ],
  [
    'one that brings a forged record',
    true,
    forge,
    [
      ['', false, `${RECORD} while waiting for request, client: `],
      ['GET /d HT', false, `${RECORD} while reading client request line, client: `],
      [GET, true, `${RECORD} while keepalive, client: `],
      [SLOW, true, 'client prematurely closed connection, client: '],
      [BODY, true, `${RECORD}, client: `],
    ],
  ],
] as const)
  test(`logs: of ${what} is told what reading it found, and at what`, async () => {
    for (const [sent, answered, says] of cases) await told(secure, sent, answered, ends, says)
  })

test('logs: a head that breaks off with its connection has its line', async () => {
  for (const line of ['400|GET /a HT|0', '400|GET /b HTTP/1.1|17', '400|GET /c HT|0', '400|GET /d HT|0'])
    await eventually(() => server.file('heads.log').includes(`${line}\n`) || assert.fail(server.file('heads.log')))
})

test('logs: who hangs up on an upstream is told of once, with the error', async () => {
  const { raw } = await connect(false)
  raw.write('GET /up HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(() => up.requests.length > 0)
  raw.resetAndDestroy()
  const says = `client prematurely closed connection, so upstream connection is closed too ${BROKEN} while sending request`
  await eventually(() => server.file('error.log').includes(says))
  assert.equal(up.requests.length, 1)
})

for (const [what, ends, says] of [
  ['is reset', reset, 'client prematurely closed connection'],
  ['brings a forged record', forge, RECORD],
] as const)
  test(`logs: of a connection of HTTP/2 over TLS that ${what} is told, and of its request`, async () => {
    const before = server.file('error.log').length
    const { raw, socket } = await connect(true, 'h2')
    socket.write(Buffer.concat([Buffer.from(PREFACE, 'latin1'), settings(), headers(1, get('/slow'))]))
    // A DATA frame: a byte of the answer.
    await new Promise<void>(resolve => {
      let seen = Buffer.alloc(0)
      socket.on('data', (bytes: Buffer) => {
        seen = Buffer.concat([seen, bytes])
        for (let at = 0; at + 9 <= seen.length; at += 9 + seen.readUIntBE(at, 3)) if (seen[at + 3] === 0) resolve()
      })
    })
    ends(raw)
    const both = new RegExp(
      `${says.replace(/[()]/g, '\\$&').replace('…', '.*')} while processing HTTP/2 connection, client: ` +
        '[^]*client prematurely closed connection, client: .*"GET /slow HTTP/2.0"',
    )
    await eventually(() => both.test(server.file('error.log').slice(before)))
  })
