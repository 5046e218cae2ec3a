import assert from 'node:assert/strict'
import test from 'node:test'
import { A, AAAA, CNAME, PTR, SRV } from '../../src/codec/dns.ts'
import type { ErrorLog } from '../../src/log/error-log.ts'
import { NOT_FOUND, TIMED_OUT, type Resolution } from '../../src/upstream/resolution.ts'
import { Resolver, type ResolverOptions } from '../../src/upstream/resolver.ts'
import { answerTo, dnsServer, ipv4, record, type DnsScript } from '../helpers/dns.ts'
import { atEnd, eventually, type Scope } from '../helpers/index.ts'
import { freePort } from '../helpers/ports.ts'

function resolverOf(t: Scope, ports: readonly number[], options: Partial<ResolverOptions> = {}): Resolver {
  const servers = ports.map(port => ({ host: '127.0.0.1', port }))
  const resolver = new Resolver({ servers, validMs: null, ipv4: true, ipv6: true, ...options })
  atEnd(t, () => resolver.close())
  return resolver
}

function ask(resolver: Resolver, name: string, timeoutMs = 20_000): Promise<Resolution> {
  return new Promise(resolve => void resolver.resolve(name, timeoutMs, resolve))
}

const addresses: DnsScript = ({ type, bytes }) =>
  answerTo(
    bytes,
    type === A ? [record(A, 60, ipv4('127.0.0.1'))] : type === AAAA ? [record(AAAA, 60, `${'\0'.repeat(15)}\x01`)] : [],
  )

test('a name has addresses of both families, is asked for once, and is kept', async t => {
  const server = await dnsServer(t, addresses)
  const resolver = resolverOf(t, [server.port])
  const answers = await Promise.all([
    ask(resolver, 'a.example'),
    ask(resolver, 'A.Example.'),
    ask(resolver, 'a.example'),
  ])
  for (const { addresses: found } of answers) assert.deepEqual(found, ['127.0.0.1', '::1'])
  await ask(resolver, 'a.example')
  assert.equal(server.questions.length, 2)
})

test('whose name is known, or who has given up, is held by no clock', async t => {
  const server = await dnsServer(t, ({ name, bytes }) => (name.startsWith('silent') ? null : answerTo(bytes, [])))
  const resolver = resolverOf(t, [server.port])
  const { promise, resolve } = Promise.withResolvers<Resolution>()
  const answered = resolver.resolve('none.example', 20_000, resolve)!
  await promise
  const cancelled = resolver.resolve('silent.example', 20_000, () => {})!
  cancelled.cancel()
  for (const { timer, lookup } of [answered, cancelled]) {
    assert.equal(timer.slotTime, 0)
    assert.equal((lookup as unknown as { timer: typeof timer }).timer.slotTime, 0)
  }
})

test('ipv6=off asks for IPv4 alone', async t => {
  const server = await dnsServer(t, addresses)
  const resolver = resolverOf(t, [server.port], { ipv6: false })
  assert.deepEqual((await ask(resolver, 'a.example')).addresses, ['127.0.0.1'])
  assert.deepEqual(
    server.questions.map(({ type }) => type),
    [A],
  )
})

test('an answer is true as long as it says, or as `valid` says', async t => {
  const server = await dnsServer(t, ({ bytes, type }) =>
    answerTo(bytes, type === A ? [record(A, 0, ipv4('127.0.0.1'))] : []),
  )
  const fresh = resolverOf(t, [server.port])
  await ask(fresh, 'a.example')
  await ask(fresh, 'a.example')
  assert.equal(server.questions.length, 4)
  const kept = resolverOf(t, [server.port], { validMs: 60_000 })
  await ask(kept, 'a.example')
  await ask(kept, 'a.example')
  assert.equal(server.questions.length, 6)
})

test('an alias is followed, in the answer or by asking again, but not in circles', async t => {
  const server = await dnsServer(t, ({ name, type, bytes }) => {
    if (name === 'round.example') return answerTo(bytes, [record(CNAME, 60, '\x06square\xc0\x12')])
    if (name === 'square.example') return answerTo(bytes, [record(CNAME, 60, '\x05round\xc0\x13')])
    if (name === 'alias.example') return answerTo(bytes, [record(CNAME, 60, '\x04real\xc0\x12')])
    if (name === 'real.example' && type === A) return answerTo(bytes, [record(A, 60, ipv4('127.0.0.9'))])
    return answerTo(bytes, [])
  })
  const resolver = resolverOf(t, [server.port])
  assert.deepEqual((await ask(resolver, 'alias.example')).addresses, ['127.0.0.9'])
  // Each waits for the other: that there is no end to it is found out at once.
  assert.equal((await ask(resolver, 'round.example', 0)).code, NOT_FOUND)
})

test('what there is not, what fails and what cannot be a name', async t => {
  const server = await dnsServer(t, ({ name, bytes }) =>
    answerTo(bytes, [], name === 'nx.example' ? 0x8183 : name === 'fail.example' ? 0x8182 : 0x8180),
  )
  const resolver = resolverOf(t, [server.port])
  const codes = await Promise.all(
    ['nx.example', 'fail.example', 'empty.example', 'a..b'].map(async name => (await ask(resolver, name)).code),
  )
  assert.deepEqual(codes, [3, 2, 3, 3])
})

test('an error for one kind of addresses is one for the name', async t => {
  const server = await dnsServer(t, ({ name, type, bytes }) =>
    type === (name.startsWith('a') ? A : AAAA)
      ? answerTo(bytes, [], 0x8182)
      : addresses({ name, type, bytes, tcp: false }),
  )
  const resolver = resolverOf(t, [server.port])
  assert.equal((await ask(resolver, 'a.example')).code, 2)
  assert.equal((await ask(resolver, 'b.example')).code, 2)
})

test('a server that does not understand us, or says what none should, has not answered', async t => {
  const server = await dnsServer(t, ({ name, bytes }) => answerTo(bytes, [], name === 'form.example' ? 0x8181 : 0x8186))
  const resolver = resolverOf(t, [server.port], { ipv6: false })
  const lines: string[] = []
  resolver.errorLog = { log: (_level: number, line: string) => void lines.push(line) } as unknown as ErrorLog
  let answered = 0
  for (const name of ['form.example', 'odd.example']) resolver.resolve(name, 0, () => answered++)
  await eventually(() => lines.length === 2)
  assert.match(lines.toSorted()[0]!, /^DNS error \(1: Format error\), query id:\d+, name:"form\.example"$/)
  assert.match(lines.toSorted()[1]!, /^DNS error \(6: Unknown error\), query id:\d+$/)
  assert.equal(answered, 0)
})

test('that nobody listens where a server should be is logged', async t => {
  const port = await freePort()
  const resolver = resolverOf(t, [port], { ipv6: false })
  const lines: string[] = []
  resolver.errorLog = { log: (_level: number, line: string) => void lines.push(line) } as unknown as ErrorLog
  resolver.resolve('a.example', 0, () => {})
  await eventually(() => lines.length > 0)
  const where = `while resolving, resolver: 127.0.0.1:${port}`
  assert.match(lines[0]!, new RegExp(`^(?:recv|send)\\(\\) failed \\(111: Connection refused\\) ${where}$`))
})

test('what does not fit into a datagram is asked for over TCP', async t => {
  const server = await dnsServer(t, ({ tcp, type, bytes }) => {
    if (!tcp) return answerTo(bytes, [], 0x8380)
    return answerTo(bytes, type === A ? Array.from({ length: 100 }, (_, i) => record(A, 60, ipv4(`127.0.1.${i}`))) : [])
  })
  assert.equal((await ask(resolverOf(t, [server.port]), 'many.example')).addresses.length, 100)
})

test('who waits too long is told, and a late answer harms nobody', async t => {
  const server = await dnsServer(t, () => null)
  const resolver = resolverOf(t, [server.port])
  assert.equal((await ask(resolver, 'silent.example', 100)).code, TIMED_OUT)
  await eventually(() => server.questions.length > 0)
  resolver.receive(answerTo(server.questions[0]!.bytes, []), '127.0.0.1', server.port)
})

test('an answer that comes too late for who asked is there for who asks next', async t => {
  const server = await dnsServer(t, () => null)
  const resolver = resolverOf(t, [server.port], { ipv6: false })
  const told: string[] = []
  resolver.errorLog = { log: (_level: number, text: string) => void told.push(text) } as ErrorLog
  assert.equal((await ask(resolver, 'slow.example', 100)).code, TIMED_OUT)
  await eventually(() => server.questions.length > 0)
  const late = answerTo(server.questions[0]!.bytes, [record(A, 60, ipv4('127.0.0.5'))])
  resolver.receive(late, '127.0.0.1', server.port)
  assert.deepEqual((await ask(resolver, 'slow.example', 100)).addresses, ['127.0.0.5'])
  assert.deepEqual(told, [])
  assert.equal(server.questions.length, 1)
})

test('answers from elsewhere, to other questions or broken ones are not believed', async t => {
  const other = await dnsServer(t, () => null)
  const server = await dnsServer(t, question => {
    const forged = answerTo(question.bytes, [record(A, 60, ipv4('6.6.6.6'))])
    resolver.receive(forged, '127.0.0.1', other.port)
    const renamed = Buffer.from(forged)
    renamed[13] = 0x7a
    resolver.receive(renamed, '127.0.0.1', server.port)
    resolver.receive(forged.subarray(0, 20), '127.0.0.1', server.port)
    return addresses(question)
  })
  const resolver: Resolver = resolverOf(t, [server.port])
  assert.deepEqual((await ask(resolver, 'a.example')).addresses, ['127.0.0.1', '::1'])
})

test('services have ports, weights and names', async t => {
  const server = await dnsServer(t, ({ bytes }) =>
    answerTo(bytes, [record(SRV, 60, '\0\x01\0\x02\x1f\x90\x01h\xc0\x0c')]),
  )
  const resolver = resolverOf(t, [server.port])
  const found = await new Promise<Resolution>(
    resolve => void resolver.resolveService('_http._tcp.example', 20_000, resolve),
  )
  assert.deepEqual(found.services, [{ priority: 1, weight: 2, port: 8080, name: 'h._http._tcp.example' }])
})

test('an address has a name, which is kept; an answer without one is not believed', async t => {
  const server = await dnsServer(t, ({ bytes, name, type }) => {
    if (type !== PTR) return null
    if (name === '1.0.0.127.in-addr.arpa') return answerTo(bytes, [record(PTR, 60, '\x04host\x07example\0')])
    return name.endsWith('.ip6.arpa') ? answerTo(bytes, []) : answerTo(bytes, [record(39, 60, '\x01x\0')])
  })
  const resolver = resolverOf(t, [server.port])
  const called = (address: string, timeoutMs = 20_000): Promise<Resolution> =>
    new Promise(resolve => void resolver.resolveAddress(address, timeoutMs, resolve))
  assert.deepEqual((await called('127.0.0.1')).names, ['host.example'])
  assert.deepEqual((await called('127.0.0.1')).names, ['host.example'])
  assert.equal(server.questions.length, 1)
  assert.equal((await called('::1')).code, NOT_FOUND)
  assert.match(server.questions[1]!.name, /^1\.0\.0\..*\.ip6\.arpa$/)
  assert.equal((await called('127.0.0.2', 200)).code, TIMED_OUT)
  assert.equal((await called('unix:')).code, NOT_FOUND)
})
