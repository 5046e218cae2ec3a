// Names → addresses at run time, by asking DNS servers (nginx's `resolver`). Answers are kept as long as they say, a name is
// asked for once however many wait for it, and a server that does not answer is followed by the next.
//
//   resolve() ── kept? ─▶ done
//        └─▶ Lookup: A and AAAA to one server ── 5 s without answer ─▶ the next server, again
//                │ both answered              └─ truncated ─▶ the same server over TCP
//                └─▶ addresses, or the alias is resolved in their place ─▶ everybody who waits

import { randomInt } from 'node:crypto'
import net from 'node:net'
import {
  A,
  AAAA,
  FORMAT_ERROR,
  isUnanswered,
  makeQuery,
  parseResponse,
  PTR,
  refusal,
  SRV,
  type DnsResponse,
  type Service,
} from '../codec/dns.ts'
import { reverseName } from '../lib/networks.ts'
import { Timer, timers } from '../lib/timer-wheel.ts'
import { ERR, type ErrorLog } from '../log/error-log.ts'
import { NameServer, type DnsServer } from './name-server.ts'

export type { DnsServer }

export interface ResolverOptions {
  readonly servers: readonly DnsServer[]
  /** Milliseconds that every answer is kept, instead of what it says itself; null: what it says. */
  readonly validMs: number | null
  readonly ipv4: boolean
  readonly ipv6: boolean
}

/** What a name has turned out to be. */
export interface Resolution {
  /** 0, a RCODE of DNS, or TIMED_OUT. */
  readonly code: number
  readonly addresses: readonly string[]
  readonly services: readonly Service[]
  /** Of an address (resolveAddress). */
  readonly names: readonly string[]
  /** Date.now() until which it is true. */
  readonly expiresMs: number
}

export const TIMED_OUT = 110
export const NOT_FOUND = 3

const MEANINGS: Readonly<Record<number, string>> = {
  [FORMAT_ERROR]: 'Format error',
  2: 'Server failure',
  [NOT_FOUND]: 'Host not found',
  4: 'Unimplemented',
  5: 'Operation refused',
  [TIMED_OUT]: 'Operation timed out',
}

/** `3: Host not found`. */
export function codeText(code: number): string {
  return `${code}: ${MEANINGS[code] ?? 'Unknown error'}`
}

const RESEND_MS = 5000
const ALIASES_MAX = 50
const KEPT_MAX = 10_000

type Done = (result: Resolution) => void

/** Somebody who waits; cancel() when the result is of no use any more. */
export class Waiter {
  readonly lookup: Lookup
  readonly done: Done
  readonly timer = new Timer<Waiter>(this, waiter => waiter.timedOut())

  constructor(lookup: Lookup, done: Done) {
    this.lookup = lookup
    this.done = done
  }

  cancel(): void {
    timers.disarm(this.timer)
    this.lookup.leave(this)
  }

  private timedOut(): void {
    this.lookup.leave(this)
    this.done(failure(TIMED_OUT))
  }
}

function failure(code: number): Resolution {
  return { code, addresses: [], services: [], names: [], expiresMs: 0 }
}

export class Resolver {
  readonly options: ResolverOptions
  errorLog: ErrorLog | null = null
  private readonly kept = new Map<string, Resolution>()
  private readonly lookups = new Map<string, Lookup>()
  /** Who asks, by the questions' identifiers. */
  private readonly questions = new Map<number, Lookup>()
  private readonly servers: readonly NameServer[]
  private turn = 0

  constructor(options: ResolverOptions) {
    this.options = options
    this.servers = options.servers.map(
      server =>
        new NameServer(
          server,
          (bytes, { host, port }) => this.receive(bytes, host, port),
          problem => this.log(problem),
        ),
    )
  }

  log(problem: string): void {
    this.errorLog?.log(ERR, problem)
  }

  /** Calls `done` once: at once (and answers null) if it is known. 0 ms: no limit. */
  resolve(name: string, timeoutMs: number, done: Done): Waiter | null {
    const types = [...(this.options.ipv4 ? [A] : []), ...(this.options.ipv6 ? [AAAA] : [])]
    return this.find(normal(name), types, timeoutMs, 0, done)
  }

  /** As resolve() for SRV records. */
  resolveService(name: string, timeoutMs: number, done: Done): Waiter | null {
    return this.find(normal(name), [SRV], timeoutMs, 0, done)
  }

  /** What an IP address is called. */
  resolveAddress(address: string, timeoutMs: number, done: Done): Waiter | null {
    return this.find(reverseName(address), [PTR], timeoutMs, 0, done)
  }

  find(name: string, types: readonly number[], timeoutMs: number, depth: number, done: Done): Waiter | null {
    const key = keyOf(name, types)
    const known = this.kept.get(key)
    if (known !== undefined && known.expiresMs >= Date.now()) {
      done(known)
      return null
    }
    let lookup = this.lookups.get(key)
    if (lookup === undefined) {
      if (makeQuery(0, name, A) === null || depth > ALIASES_MAX) {
        // What cannot be a name is nobody's.
        done(failure(NOT_FOUND))
        return null
      }
      lookup = new Lookup(this, name, types, depth)
      this.lookups.set(key, lookup)
      lookup.start(this.turn++)
    }
    const waiter = new Waiter(lookup, done)
    lookup.waiters.add(waiter)
    if (timeoutMs > 0) timers.arm(waiter.timer, timeoutMs)
    return waiter
  }

  /** A result that lookup has come to. */
  settle(lookup: Lookup, result: Resolution): void {
    this.forget(lookup)
    if (result.code === 0 && result.expiresMs > Date.now()) {
      if (this.kept.size >= KEPT_MAX) for (const [oldest] of this.kept) if (this.kept.delete(oldest)) break
      this.kept.delete(keyOf(lookup.name, lookup.types))
      this.kept.set(keyOf(lookup.name, lookup.types), result)
    }
    for (const waiter of lookup.waiters) {
      timers.disarm(waiter.timer)
      waiter.done(result)
    }
    lookup.waiters.clear()
  }

  lookupFor(name: string, types: readonly number[]): Lookup | undefined {
    return this.lookups.get(keyOf(name, types))
  }

  forget(lookup: Lookup): void {
    const key = keyOf(lookup.name, lookup.types)
    if (this.lookups.get(key) === lookup) this.lookups.delete(key)
    lookup.stop()
  }

  /** When an answer with that many seconds to live ceases to be true. */
  expiry(ttl: number): number {
    return Date.now() + (this.options.validMs ?? ttl * 1000)
  }

  // ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** An identifier that nobody can guess and nobody uses. */
  open(lookup: Lookup): number {
    let id = randomInt(65536)
    while (this.questions.has(id)) id = randomInt(65536)
    this.questions.set(id, lookup)
    return id
  }

  closeQuestion(id: number): void {
    this.questions.delete(id)
  }

  /** The server whose turn it is. */
  serverAt(turn: number): NameServer {
    return this.servers[turn % this.servers.length]!
  }

  /** @param host whom it is from, '' for a TCP connection that we have made */
  receive(bytes: Buffer, host: string, port: number): void {
    const response = parseResponse(bytes, host === '')
    if (response === null) this.log(refusal.reason)
    else if (isUnanswered(response.code)) this.logUnanswered(response)
    else if (host !== '' && !this.servers.some(server => server.host === host && server.port === port)) {
      this.log(`unexpected DNS response for ${response.name}`)
    } else this.answer(response)
  }

  /** Somebody does not understand us, perhaps on somebody else's behalf: the next server is asked in time. */
  private logUnanswered({ id, code }: DnsResponse): void {
    const lookup = code === FORMAT_ERROR ? this.questions.get(id) : undefined
    const whose = lookup === undefined ? '' : `, name:"${lookup.name}"`
    this.log(`DNS error (${codeText(code)}), query id:${id}${whose}`)
  }

  private answer(response: DnsResponse): void {
    const { id, name, type } = response
    const lookup = this.lookups.get(keyOf(name, [type]))
    const expected = lookup?.questionOf(type) ?? -1
    if (lookup === undefined || expected === -1) this.log(`unexpected DNS response for ${name}`)
    else if (id !== expected) this.log(`wrong ident ${id} in DNS response for ${name}, expect ${expected}`)
    else {
      for (const oddity of response.oddities) this.log(oddity)
      lookup.answered(id, response)
    }
  }

  /** Ends everything; nobody is called any more. */
  close(): void {
    for (const lookup of this.lookups.values()) {
      for (const waiter of lookup.waiters) timers.disarm(waiter.timer)
      this.forget(lookup)
    }
    for (const server of this.servers) server.close()
  }
}

function normal(name: string): string {
  const lower = name.toLowerCase()
  return lower.endsWith('.') ? lower.slice(0, -1) : lower
}

function keyOf(name: string, types: readonly number[]): string {
  return types[0] === SRV ? `${name} SRV` : types[0] === PTR ? `${name} PTR` : name
}

/** One name being asked for. */
class Lookup {
  readonly name: string
  readonly types: readonly number[]
  readonly waiters = new Set<Waiter>()
  private readonly resolver: Resolver
  private readonly depth: number
  /** Identifiers of what is not answered yet, and their types. */
  private readonly open = new Map<number, number>()
  private readonly answers: DnsResponse[] = []
  private readonly timer = new Timer<Lookup>(this, lookup => lookup.resend())
  private turn = 0
  private tcp: net.Socket | null = null
  /** The lookup of the alias that this name turned out to be. */
  private following: Waiter | null = null

  constructor(resolver: Resolver, name: string, types: readonly number[], depth: number) {
    this.resolver = resolver
    this.name = name
    this.types = types
    this.depth = depth
  }

  start(turn: number): void {
    this.turn = turn
    for (const type of this.types) this.open.set(this.resolver.open(this), type)
    this.ask()
  }

  /** The identifier of what it asks in that type; -1: it does not. */
  questionOf(type: number): number {
    for (const [id, asked] of this.open) if (asked === type) return id
    return -1
  }

  private get server(): NameServer {
    return this.resolver.serverAt(this.turn)
  }

  private ask(): void {
    for (const [id, type] of this.open) this.server.ask(makeQuery(id, this.name, type)!)
    timers.arm(this.timer, RESEND_MS)
  }

  private resend(): void {
    this.turn++
    this.closeTcp()
    this.ask()
  }

  answered(id: number, response: DnsResponse): void {
    if (response.truncated) {
      if (this.tcp === null) this.askByTcp()
      return
    }
    this.open.delete(id)
    this.resolver.closeQuestion(id)
    this.answers.push(response)
    if (this.open.size === 0) this.finish()
  }

  private finish(): void {
    timers.disarm(this.timer)
    this.closeTcp()
    const { resolver, answers } = this
    // That one kind of addresses could not be told spoils the other: nobody knows what else is amiss there.
    const code = answers.at(-1)!.code || answers[0]!.code
    if (code !== 0) {
      resolver.settle(this, failure(code))
      return
    }
    const byType = answers.toSorted((a, b) => a.type - b.type)
    const addresses = byType.flatMap(answer => answer.addresses)
    const services = byType.flatMap(answer => answer.services)
    const names = byType.flatMap(answer => answer.names)
    const expiresMs = resolver.expiry(Math.min(...answers.map(answer => answer.ttl)))
    if (addresses.length > 0 || services.length > 0 || names.length > 0) {
      resolver.settle(this, { code: 0, addresses, services, names, expiresMs })
      return
    }
    const alias = byType.find(answer => answer.alias !== '')?.alias
    if (alias === undefined) {
      if (answers.at(-1)!.records > 0) resolver.log('no A or CNAME types in DNS response')
      resolver.settle(this, failure(NOT_FOUND))
    } else this.follow(alias, expiresMs)
  }

  private follow(alias: string, expiresMs: number): void {
    if (this.isAwaitedBy(this.resolver.lookupFor(alias, this.types))) {
      this.resolver.settle(this, failure(NOT_FOUND))
      return
    }
    this.following = this.resolver.find(alias, this.types, 0, this.depth + 1, result => {
      this.following = null
      this.resolver.settle(this, { ...result, expiresMs: Math.min(result.expiresMs, expiresMs) })
    })
  }

  /** Aliases may go in circles: does that one wait for what is found here? */
  private isAwaitedBy(lookup: Lookup | undefined): boolean {
    for (let one = lookup; one !== undefined; one = one.following?.lookup) if (one === this) return true
    return false
  }

  // ── TCP ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What did not fit into a datagram (RFC 7766): the questions once more, each with its length in front. */
  private askByTcp(): void {
    const { host, port } = this.server
    const socket = net.connect({ host, port, autoSelectFamily: false })
    this.tcp = socket
    let input: Buffer = Buffer.alloc(0)
    socket.unref()
    // The next server will be asked in time.
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      input = Buffer.concat([input, chunk])
      while (input.length >= 2 && input.length >= 2 + input.readUInt16BE()) {
        const end = 2 + input.readUInt16BE()
        this.resolver.receive(input.subarray(2, end), '', 0)
        input = input.subarray(end)
      }
    })
    for (const [id, type] of this.open) {
      const query = makeQuery(id, this.name, type)!
      socket.write(Buffer.concat([Buffer.from([query.length >> 8, query.length & 255]), query]))
    }
  }

  private closeTcp(): void {
    this.tcp?.destroy()
    this.tcp = null
  }

  leave(waiter: Waiter): void {
    this.waiters.delete(waiter)
    if (this.waiters.size > 0) return
    this.resolver.forget(this)
  }

  stop(): void {
    timers.disarm(this.timer)
    this.closeTcp()
    for (const id of this.open.keys()) this.resolver.closeQuestion(id)
    this.open.clear()
    // Aliases may go in circles: nobody is stopped twice.
    const { following } = this
    this.following = null
    following?.cancel()
  }
}
