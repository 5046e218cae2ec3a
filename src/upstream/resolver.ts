// Names → addresses at run time, by asking DNS servers (nginx's `resolver`). Answers are kept as long as they say, a name is
// asked for once however many wait for it, and a server that does not answer is followed by the next.
//
//   resolve() ── kept? ─▶ done
//        └─▶ Lookup: A and AAAA to one server ── 5 s without answer ─▶ the next server, again
//                │ both answered              └─ truncated ─▶ the same server over TCP
//                └─▶ addresses, or the alias is resolved in their place ─▶ everybody who waits

import { randomInt } from 'node:crypto'
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
} from '../codec/dns.ts'
import { reverseName } from '../lib/networks.ts'
import { timers } from '../lib/timer-wheel.ts'
import { ERR, type ErrorLog } from '../log/error-log.ts'
import { Lookup, Waiter, type Done, type LookupOwner } from './lookup.ts'
import { NameServer, type DnsServer } from './name-server.ts'
import { codeText, failure, NOT_FOUND, type Resolution } from './resolution.ts'

export type { DnsServer }

export interface ResolverOptions {
  readonly servers: readonly DnsServer[]
  /** Milliseconds that every answer is kept, instead of what it says itself; null: what it says. */
  readonly validMs: number | null
  readonly ipv4: boolean
  readonly ipv6: boolean
}

/** Aliases that may lead to one another (NGX_RESOLVER_MAX_RECURSION). */
const ALIASES_MAX = 50
/** Names that are kept; the oldest go first. */
const KEPT_MAX = 10_000

export class Resolver implements LookupOwner {
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

  settle(lookup: Lookup, result: Resolution): void {
    this.forget(lookup)
    if (result.code === 0 && result.expiresMs > Date.now()) {
      if (this.kept.size >= KEPT_MAX) for (const [oldest] of this.kept) if (this.kept.delete(oldest)) break
      this.kept.delete(keyOf(lookup.name, lookup.types))
      this.kept.set(keyOf(lookup.name, lookup.types), result)
    }
    for (const waiter of lookup.waiters) {
      timers.release(waiter.timer)
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
      for (const waiter of lookup.waiters) timers.release(waiter.timer)
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
