// One name being asked for (see resolver.ts): its questions go to one server after the other until all are answered, over TCP
// where an answer does not fit into a datagram; an alias is looked up in its place. And who waits for it.

import net from 'node:net'
import { makeQuery, type DnsResponse } from '../codec/dns.ts'
import { Timer, timers } from '../lib/timer-wheel.ts'
import type { NameServer } from './name-server.ts'
import { failure, NOT_FOUND, TIMED_OUT, type Resolution } from './resolution.ts'

/** How long a server has before the next is asked (ngx_resolver_create). */
const RESEND_MS = 5000

/** What a lookup needs of the resolver. */
export interface LookupOwner {
  log(problem: string): void
  find(name: string, types: readonly number[], timeoutMs: number, depth: number, done: Done): Waiter | null
  /** A result that lookup has come to. */
  settle(lookup: Lookup, result: Resolution): void
  lookupFor(name: string, types: readonly number[]): Lookup | undefined
  /** Nobody waits for it any more. */
  forget(lookup: Lookup): void
  /** When an answer with that many seconds to live ceases to be true: Date.now() then. */
  expiry(ttl: number): number
  /** An identifier for a question, that nobody can guess and nobody uses. */
  open(lookup: Lookup): number
  closeQuestion(id: number): void
  serverAt(turn: number): NameServer
  /** @param host '' for a TCP connection that we have made */
  receive(bytes: Buffer, host: string, port: number): void
}

/** Is told the result, once. */
export type Done = (result: Resolution) => void

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
    timers.release(this.timer)
    this.lookup.leave(this)
  }

  /** The question stays for as long as its server has: a late answer is one for who asks next. */
  private timedOut(): void {
    timers.release(this.timer)
    this.lookup.waiters.delete(this)
    this.done(failure(TIMED_OUT))
  }
}

/** One name being asked for. */
export class Lookup {
  readonly name: string
  readonly types: readonly number[]
  readonly waiters = new Set<Waiter>()
  private readonly resolver: LookupOwner
  private readonly depth: number
  /** Identifiers of what is not answered yet, and their types. */
  private readonly open = new Map<number, number>()
  private readonly answers: DnsResponse[] = []
  private readonly timer = new Timer<Lookup>(this, lookup => lookup.resend())
  private turn = 0
  private tcp: net.Socket | null = null
  /** The lookup of the alias that this name turned out to be. */
  private following: Waiter | null = null

  constructor(resolver: LookupOwner, name: string, types: readonly number[], depth: number) {
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
    if (this.waiters.size === 0) {
      this.resolver.forget(this)
      return
    }
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
    timers.release(this.timer)
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
    timers.release(this.timer)
    this.closeTcp()
    for (const id of this.open.keys()) this.resolver.closeQuestion(id)
    this.open.clear()
    // Aliases may go in circles: nobody is stopped twice.
    const { following } = this
    this.following = null
    following?.cancel()
  }
}
