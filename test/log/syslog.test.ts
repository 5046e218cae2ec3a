import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { hostname } from 'node:os'
import test from 'node:test'
import { ErrorLog, ERR, LogFiles, WARN } from '../../src/log/error-log.ts'
import { Syslog } from '../../src/log/syslog.ts'
import { needsIpv6 } from '../helpers/index.ts'

const server = { host: '127.0.0.1', port: 0, path: '', facility: 23, severity: 6, tag: 'nginx', hostname: true }

async function listening(t: { after(clean: () => void): void }, host: string): Promise<dgram.Socket> {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.bind(0, host)
  await once(socket, 'listening')
  t.after(() => void socket.close())
  return socket
}

async function next(socket: dgram.Socket): Promise<string> {
  const [bytes] = (await once(socket, 'message')) as [Buffer]
  return bytes.toString('latin1')
}

/** Local time as in "Nov  2 03:04:05". It does not say which year, nor which of two hours when clocks are set back. */
function stamp(ms: number): string {
  const [, month, day, , time] = new Date(ms).toString().split(' ')
  return `${month} ${String(Number(day)).padStart(2)} ${time}`
}

for (const host of ['127.0.0.1', '::1']) {
  test(`syslog: lines over ${host} as RFC 3164 frames them`, async t => {
    if (host === '::1' && !needsIpv6(t)) return
    const socket = await listening(t, host)
    const syslog = new Syslog({ ...server, host, port: socket.address().port })
    t.after(() => syslog.close())
    const message = next(socket)
    const begun = Date.now()
    syslog.send('a line \xe4')
    const sent = Date.now()
    const [, time, rest] = /^<190>([A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}) (.*)$/s.exec(await message)!
    const possible = Array.from({ length: sent / 1000 - begun / 1000 + 2 }, (_, i) => stamp(begun + i * 1000))
    assert.ok(possible.includes(time!), `${time} is none of ${possible.join(', ')}`)
    assert.equal(rest, `${hostname()} nginx: a line \xe4`)
  })
}

test('error_log: to syslog with the severity of each line, and to others as well', async t => {
  const socket = await listening(t, '127.0.0.1')
  const files = new LogFiles()
  t.after(() => files.close())
  const syslog = { ...server, port: socket.address().port, hostname: false, tag: 'me' }
  const log = new ErrorLog([{ path: null, syslog, level: ERR }], files, 7)
  const message = next(socket)
  log.log(WARN, 'not this')
  log.log(ERR, 'this', 5)
  assert.match(await message, new RegExp(`^<187>[^<]{15} me: \\d{4}/.* \\[error\\] ${process.pid}#7: \\*5 this$`))
})

test('syslog: a server that is not there costs lines and nothing else', () => {
  const syslog = new Syslog({ ...server, host: '', path: '/nonexistent/socket' })
  syslog.send('lost')
  syslog.close()
  syslog.send('lost too')
})
