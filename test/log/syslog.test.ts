import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { ErrorLog, ERR, LogFiles, WARN } from '../../src/log/error-log.ts'
import { Syslog } from '../../src/log/syslog.ts'
import { eventually, needsIpv6, tempDir } from '../helpers/index.ts'

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

test('error_log: that a syslog server is not there is told, once for many lines', async t => {
  const socket = await listening({ after() {} }, '127.0.0.1')
  const { port } = socket.address()
  const told: string[] = []
  const tell = (problem: string, outside: boolean): void => void told.push(`${outside} ${problem}`)
  const there = new Syslog({ ...server, port }, undefined, tell)
  t.after(() => there.close())
  const message = next(socket)
  there.send('one')
  await message
  assert.deepEqual(told, [])
  await new Promise<void>(resolve => socket.close(() => resolve()))
  // The network tells of the first lost line when the next is sent.
  await eventually(() => (there.send('lost'), told.length > 0))
  there.send('lost')
  assert.deepEqual(told, [
    `true send() failed (111: Connection refused) while logging to syslog, server: 127.0.0.1:${port}`,
  ])
  const nowhere = new Syslog({ ...server, host: '', path: '/nonexistent/socket' }, undefined, tell)
  nowhere.send('lost')
  nowhere.close()
  assert.equal(
    told[1],
    'false connect() failed (2: No such file or directory) while logging to syslog, server: unix:/nonexistent/socket',
  )
})

test('error_log: what cannot be sent to one log is in the other', t => {
  const files = new LogFiles()
  t.after(() => files.close())
  const path = join(tempDir(t), 'error.log')
  const syslog = { ...server, host: '', path: '/nonexistent/socket' }
  const targets = [
    { path: null, syslog, level: ERR },
    { path, level: ERR },
  ]
  new ErrorLog(targets, files, 7).log(ERR, 'said')
  assert.match(
    readFileSync(path, 'utf8'),
    /^.* \[alert\] .*: connect\(\) failed \(2: No such file or directory\) while logging to syslog, server: unix:\/nonexistent\/socket\n.* \[error\] .*: said\n$/,
  )
})

test('syslog: a server that is not there costs lines and nothing else', () => {
  const syslog = new Syslog({ ...server, host: '', path: '/nonexistent/socket' })
  syslog.send('lost')
  syslog.close()
  syslog.send('lost too')
})
