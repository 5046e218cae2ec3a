// Names whose addresses are a group's peers, with a real DNS server on loopback that lies, is silent, cuts off and fails.

import assert from 'node:assert/strict'
import test from 'node:test'
import { A, CNAME, SRV } from '../../src/codec/dns.ts'
import { ErrorLog, LogFiles } from '../../src/log/error-log.ts'
import { DnsPeers } from '../../src/upstream/dns-peers.ts'
import { Group } from '../../src/upstream/group.ts'
import { zoneBytes } from '../../src/upstream/peer-slots.ts'
import { Resolver } from '../../src/upstream/resolver.ts'
import { readServer } from '../../src/upstream/server.ts'
import { SharedPeers } from '../../src/upstream/shared-peers.ts'
import { answerTo, dnsServer, ipv4, record, type DnsQuestion, type DnsScript } from '../helpers/dns.ts'
import { atEnd, eventually, type Scope } from '../helpers/index.ts'

const refusal = {
  fail(problem: string): never {
    throw new Error(problem)
  },
}

interface Running {
  readonly group: Group
  readonly complaints: string[]
  readonly questions: readonly DnsQuestion[]
  names(): string[]
}

/** A group of one `server` line, and its answers. */
async function run(t: Scope, line: string, script: DnsScript, validMs: number | null = null): Promise<Running> {
  const server = await dnsServer(t, script)
  const resolver = new Resolver({
    servers: [{ host: '127.0.0.1', port: server.port }],
    validMs,
    ipv4: true,
    ipv6: false,
  })
  const shared = new SharedPeers(new SharedArrayBuffer(zoneBytes(32768)), [
    { declaration: readServer(line.split(' '), [], refusal), names: [] },
  ])
  const group = new Group('g', [])
  group.source = shared
  const log = new ErrorLog([], new LogFiles())
  const complaints: string[] = []
  log.log = (_level: number, text: string) => void complaints.push(text)
  const dns = new DnsPeers('g', shared, resolver, 300, log, () => true)
  dns.start()
  atEnd(t, () => {
    dns.stop()
    resolver.close()
  })
  return {
    group,
    complaints,
    questions: server.questions,
    names() {
      shared.sync(group)
      return [...group.peers.map(peer => peer.name), ...group.backups.map(peer => `${peer.name} backup`)]
    },
  }
}

test('a name is asked for at once, not when the clock next ticks', () => {
  const shared = new SharedPeers(new SharedArrayBuffer(zoneBytes(32768)), [
    { declaration: readServer(['a.example', 'resolve'], [], refusal), names: [] },
  ])
  const asked: string[] = []
  const resolver = { options: {}, resolve: (name: string) => (asked.push(name), null) } as unknown as Resolver
  const dns = new DnsPeers('g', shared, resolver, 300, new ErrorLog([], new LogFiles()), () => true)
  dns.start()
  dns.stop()
  assert.deepEqual(asked, ['a.example'])
})

function a(address: string, ttl = 0): Buffer {
  return record(A, ttl, ipv4(address))
}

/** A service's record; `host` is a label below the name asked for. */
function srv(priority: number, weight: number, port: number, host: string): Buffer {
  const label = String.fromCharCode(host.length) + host
  return record(
    SRV,
    0,
    `\0${String.fromCharCode(priority)}\0${String.fromCharCode(weight, port >> 8, port & 255)}${label}\xc0\x0c`,
  )
}

test('addresses are asked for again when their time is over, and are the peers at once', async t => {
  let now = ['10.0.0.1', '10.0.0.2']
  const running = await run(t, 'a.example:80 resolve weight=3', ({ bytes }) =>
    answerTo(
      bytes,
      now.map(address => a(address)),
    ),
  )
  await eventually(() => assert.deepEqual(running.names(), ['10.0.0.1:80', '10.0.0.2:80']) ?? true)
  assert.equal(running.group.peers[0]!.weight, 3)
  now = ['10.0.0.3', '10.0.0.2']
  await eventually(() => assert.deepEqual(running.names(), ['10.0.0.2:80', '10.0.0.3:80']) ?? true)
})

test('an answer holds as long as it says', async t => {
  const running = await run(t, 'a.example:80 resolve', ({ bytes }) => answerTo(bytes, [a('10.0.0.1', 60)]))
  await eventually(() => running.names().length === 1)
  assert.equal(running.questions.length, 1)
})

test('a name that is gone has no peers; a server that fails, or is silent, changes nothing', async t => {
  let mode: 'fine' | 'fails' | 'silent' | 'gone' = 'fine'
  const running = await run(
    t,
    'a.example:80 resolve',
    ({ bytes }) => {
      if (mode === 'silent') return null
      return mode === 'fine'
        ? answerTo(bytes, [a('10.0.0.1')])
        : answerTo(bytes, [], mode === 'fails' ? 0x8182 : 0x8183)
    },
    200,
  )
  const told = (text: string): Promise<unknown> =>
    eventually(() => running.complaints.some(line => line.includes(text)))
  await eventually(() => running.names().length === 1)
  mode = 'fails'
  await told('a.example could not be resolved (2: Server failure)')
  assert.deepEqual(running.names(), ['10.0.0.1:80'])
  mode = 'silent'
  await told('a.example could not be resolved (110: Operation timed out)')
  assert.deepEqual(running.names(), ['10.0.0.1:80'])
  mode = 'gone'
  await told('a.example could not be resolved (3: Host not found)')
  assert.deepEqual(running.names(), [])
  mode = 'fine'
  await eventually(() => running.names().length === 1)
})

test('lies are not believed: other names, other types, other identifiers, cut off and empty messages', async t => {
  let lies = 0
  const running = await run(t, 'a.example:80 resolve', ({ bytes }) => {
    const lie = answerTo(bytes, [a('6.6.6.6')])
    switch (lies++) {
      case 0:
        lie[13] = 0x7a
        return lie
      case 1:
        lie.writeUInt16BE((lie.readUInt16BE() + 1) & 0xffff)
        return lie
      case 2:
        return lie.subarray(0, lie.length - 2)
      case 3:
        lie[lie.length - 16 - 3] = 28
        return lie
      case 4:
        return Buffer.alloc(0)
      default:
        return answerTo(bytes, [a('10.0.0.1')])
    }
  })
  await eventually(() => assert.deepEqual(running.names(), ['10.0.0.1:80']) ?? true)
  assert.ok(lies > 5)
})

test('an answer that was cut off is asked for over TCP; aliases in a circle have no addresses', async t => {
  const cut = await run(t, 'many.example:80 resolve', ({ tcp, bytes }) =>
    tcp
      ? answerTo(
          bytes,
          Array.from({ length: 40 }, (_, i) => a(`10.0.1.${i}`)),
        )
      : answerTo(bytes, [], 0x8380),
  )
  await eventually(() => cut.names().length === 40)
  const round = await run(t, 'round.example:80 resolve', ({ name, bytes }) =>
    answerTo(bytes, [record(CNAME, 0, name === 'round.example' ? '\x06square\xc0\x12' : '\x05round\xc0\x13')]),
  )
  await eventually(() => round.complaints.length > 0)
  assert.deepEqual(round.names(), [])
})

test('more addresses than there is room for: as many as fit, and a word of it', async t => {
  const running = await run(t, 'many.example:80 resolve', ({ tcp, bytes }) =>
    tcp
      ? answerTo(
          bytes,
          Array.from({ length: 250 }, (_, i) => a(`10.0.1.${i}`)),
        )
      : answerTo(bytes, [], 0x8380),
  )
  await eventually(() => running.complaints.some(text => text.includes('memory exhausted')))
  assert.ok(running.names().length > 30)
})

test('a service: ports, weights and second choices from SRV records, and hosts that cannot be found are left out', async t => {
  const script: DnsScript = ({ name, type, bytes }) => {
    if (type === SRV) {
      if (name === '_half._tcp.svc.example') return answerTo(bytes, [srv(1, 1, 8004, 'lost'), srv(2, 7, 8003, 'three')])
      return name === '_http._tcp.svc.example'
        ? answerTo(bytes, [
            srv(1, 5, 8001, 'one'),
            srv(1, 0, 8002, 'two'),
            srv(2, 7, 8003, 'three'),
            srv(1, 1, 8004, 'lost'),
          ])
        : answerTo(bytes, [], 0x8183)
    }
    if (name.startsWith('lost.')) return answerTo(bytes, [], 0x8183)
    const hosts: Readonly<Record<string, string>> = { one: '10.0.0.1', two: '10.0.0.2', three: '10.0.0.3' }
    return answerTo(bytes, [a(hosts[name.split('.')[0]!]!)])
  }
  const running = await run(t, 'svc.example service=http resolve max_conns=9', script)
  await eventually(() => running.names().length === 3)
  assert.deepEqual(running.names().sort(), ['10.0.0.1:8001', '10.0.0.2:8002', '10.0.0.3:8003 backup'])
  const [one] = running.group.peers.filter(peer => peer.name === '10.0.0.1:8001')
  assert.deepEqual([one!.weight, one!.maxConns, one!.server], [5, 9, 'one._http._tcp.svc.example'])
  const lost =
    /lost\._http\._tcp\.svc\.example could not be resolved \(3: Host not found\) while resolving service http of svc\.example/
  await eventually(() => lost.test(running.complaints.join('\n')))
  const written = await run(t, 'svc.example service=_http._tcp resolve weight=2', script)
  await eventually(() => written.names().length === 3)
  assert.ok(written.group.peers.every(peer => peer.weight === 2))
  const half = await run(t, 'svc.example service=half resolve', script)
  await eventually(() => half.names().length === 1)
  assert.deepEqual(half.names(), ['10.0.0.3:8003'])
  const missing = await run(t, 'none.example service=http resolve', script)
  await eventually(() =>
    missing.complaints.includes('service http of none.example could not be resolved (3: Host not found)'),
  )
})
