// Servers that are known by a name: those of syslog and of StatsD.

import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import dns from 'node:dns'
import { once } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import test, { type TestContext } from 'node:test'
import { Statsd } from '../../src/log/statsd.ts'
import { Syslog } from '../../src/log/syslog.ts'
import { atEnd, eventually } from '../helpers/index.ts'

async function listening(t: TestContext): Promise<{ port: number; heard: string[] }> {
  const heard: string[] = []
  const socket = dgram.createSocket('udp4', bytes => void heard.push(bytes.toString('latin1')))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  atEnd(t, () => void socket.close())
  return { port: socket.address().port, heard }
}

/** A name that is known from the given question on; the clock is the test's. */
function lateName(t: TestContext, known: number): { asked: string[]; pass(this: void, ms: number): void } {
  const asked: string[] = []
  const lookup = t.mock.method(dns, 'lookup', ((
    _host: string,
    { order }: dns.LookupOptions,
    answer: (error: Error | null, ip: string) => void,
  ) => {
    asked.push(order!)
    answer(asked.length < known ? Object.assign(new Error('failed'), { code: 'EAI_AGAIN' }) : null, '127.0.0.1')
  }) as never)
  syncBuiltinESMExports()
  t.mock.timers.enable({ apis: ['setTimeout'] })
  atEnd(t, () => {
    t.mock.timers.reset()
    lookup.mock.restore()
    syncBuiltinESMExports()
  })
  // Step by step: what a timer sets is not due before the step has ended.
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 500) t.mock.timers.tick(Math.min(left, 500))
  }
  return { asked, pass }
}

const place = { host: 'late.test', path: '' }
const syslogServer = { ...place, facility: 23, severity: 6, tag: 'nginx', hostname: false }

test('statsd: a name that is not known yet is looked up again, told of once, and what came before is not lost', async t => {
  const { port, heard } = await listening(t)
  const problems: string[] = []
  const { asked, pass } = lateName(t, 4)
  const statsd = new Statsd({ ...place, port, prefix: '', tags: '' }, problem => problems.push(problem))
  atEnd(t, () => statsd.close())
  statsd.increment('early')
  statsd.flush()
  for (const [ms, questions] of [
    [999, 1],
    [1, 2],
    [1999, 2],
    [1, 3],
    [3999, 3],
    [1, 4],
    [1_000_000, 4],
  ]) {
    pass(ms!)
    assert.equal(asked.length, questions)
  }
  statsd.increment('late')
  statsd.flush()
  await eventually(() => heard.length === 2)
  assert.deepEqual(heard, ['early:1|c|@1.0', 'late:1|c|@1.0'])
  assert.deepEqual(problems, ['statsd: host "late.test" could not be resolved (EAI_AGAIN)'])
})

test('syslog: as statsd, but the first address that the system tells is taken', async t => {
  const { port, heard } = await listening(t)
  const problems: string[] = []
  const { asked, pass } = lateName(t, 2)
  const syslog = new Syslog({ ...syslogServer, port }, problem => problems.push(problem))
  atEnd(t, () => syslog.close())
  syslog.send('early')
  pass(1000)
  assert.deepEqual(asked, ['verbatim', 'verbatim'])
  syslog.send('late')
  await eventually(() => heard.length === 2)
  assert.match(heard[0]!, /^<190>.* nginx: early$/)
  assert.match(heard[1]!, /^<190>.* nginx: late$/)
  assert.deepEqual(problems, ['syslog: host "late.test" could not be resolved (EAI_AGAIN)'])
})

test('a name that is never known is asked for once a minute in the end, and not any more when all is over', t => {
  const { asked, pass } = lateName(t, Infinity)
  const statsd = new Statsd({ ...place, port: 1, prefix: '', tags: '' })
  pass(63_000)
  assert.equal(asked.length, 7)
  assert.equal(asked[0], 'ipv4first')
  pass(59_999)
  assert.equal(asked.length, 7)
  pass(1)
  assert.equal(asked.length, 8)
  pass(600_000)
  assert.equal(asked.length, 18)
  statsd.close()
  pass(600_000)
  assert.equal(asked.length, 18)
})
