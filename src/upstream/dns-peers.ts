// `server NAME resolve`, and `service=`: names whose addresses are a group's peers, asked for again when an answer has ceased
// to be true (ngx_http_upstream_zone_module). One thread does it for all; the answer goes into the shared table.

import type { Service } from '../codec/dns.ts'
import { Timer, timers } from '../lib/timer-wheel.ts'
import { ERR, type ErrorLog } from '../log/error-log.ts'
import { SERVER, SERVICE, TEMPLATE, BACKUP } from './peer-slots.ts'
import type { Waiter } from './lookup.ts'
import { codeText, NOT_FOUND, type Resolution } from './resolution.ts'
import type { Resolver } from './resolver.ts'
import { peerName } from './server.ts'
import type { FoundAddress, SharedPeers } from './shared-peers.ts'

/** How often it is looked whether there are new names, and whether this thread is still the one to ask. */
const LOOK_MS = 500
/** Not more often, whatever a server says. */
const AGAIN_MS = 500
/** Hosts that a service may have. */
const SERVICES_MAX = 256

export class DnsPeers {
  private readonly group: string
  private readonly shared: SharedPeers
  private readonly resolver: Resolver
  private readonly timeoutMs: number
  private readonly log: ErrorLog
  private readonly isMine: () => boolean
  private readonly names = new Map<number, Name>()
  private readonly look = new Timer<DnsPeers>(this, dns => dns.lookAround())
  private seen = -1

  constructor(
    group: string,
    shared: SharedPeers,
    resolver: Resolver,
    timeoutMs: number,
    log: ErrorLog,
    isMine: () => boolean,
  ) {
    this.group = group
    this.shared = shared
    this.resolver = resolver
    this.timeoutMs = timeoutMs
    this.log = log
    this.isMine = isMine
  }

  start(): void {
    this.lookAround()
  }

  stop(): void {
    timers.disarm(this.look)
    for (const name of this.names.values()) name.stop()
    this.names.clear()
  }

  private lookAround(): void {
    if (!this.isMine()) {
      this.stop()
      return
    }
    timers.arm(this.look, LOOK_MS)
    const { slots } = this.shared
    if (slots.version === this.seen) return
    slots.lock()
    this.seen = slots.version
    const present = new Set<number>()
    const due: Name[] = []
    for (const at of slots.used()) {
      if (!slots.has(at, TEMPLATE)) continue
      const id = slots.id(at)
      present.add(id)
      if (this.names.has(id)) continue
      const name = new Name(this, id, slots.text(at, SERVER), slots.text(at, SERVICE), slots.port(at))
      name.backup = slots.has(at, BACKUP)
      this.names.set(id, name)
      const wait = slots.valid(at) - Date.now()
      if (wait > 0) name.askIn(wait)
      else due.push(name)
    }
    slots.unlock()
    for (const [id, name] of this.names) {
      if (present.has(id)) continue
      name.stop()
      this.names.delete(id)
    }
    // At once, or whoever asks as soon as the program serves finds no server; an answer that is known takes the lock again.
    for (const name of due) name.ask()
  }

  ask(name: string, service: string, done: (result: Resolution) => void): Waiter | null {
    if (service === '') return this.resolver.resolve(name, this.timeoutMs, done)
    // RFC 2782; a service may also be written out with its protocol.
    const full = service.includes('.') ? `${service}.${name}` : `_${service}._tcp.${name}`
    return this.resolver.resolveService(full, this.timeoutMs, done)
  }

  complain(problem: string): void {
    this.log.log(ERR, problem)
  }

  get retryMs(): number {
    return Math.max(this.timeoutMs, 1000)
  }

  /** How long there is believed to be no such name. */
  get unknownMs(): number {
    return Math.max(AGAIN_MS, this.resolver.options.validMs ?? 10_000)
  }

  settle(id: number, found: readonly FoundAddress[], validUntil: number): void {
    if (!this.isMine()) return
    if (!this.shared.setAddresses(id, found, validUntil)) {
      this.complain(`cannot add new server to upstream "${this.group}", memory exhausted`)
    }
  }
}

class Name {
  private readonly dns: DnsPeers
  private readonly id: number
  /** As written. */
  private readonly server: string
  private readonly host: string
  private readonly service: string
  private readonly port: number
  backup = false
  private readonly timer = new Timer<Name>(this, name => name.ask())
  private readonly waiters = new Set<Waiter>()
  private stopped = false

  constructor(dns: DnsPeers, id: number, server: string, service: string, port: number) {
    this.dns = dns
    this.id = id
    this.server = server
    this.host = server.replace(/:\d*$/, '')
    this.service = service
    this.port = port
  }

  askIn(ms: number): void {
    if (!this.stopped) timers.arm(this.timer, ms)
  }

  stop(): void {
    this.stopped = true
    timers.disarm(this.timer)
    for (const waiter of this.waiters) waiter.cancel()
    this.waiters.clear()
  }

  private wait(name: string, service: string, done: (result: Resolution) => void): void {
    let waiter: Waiter | null = null
    waiter = this.dns.ask(name, service, result => {
      if (waiter !== null) this.waiters.delete(waiter)
      if (!this.stopped) done(result)
    })
    if (waiter !== null) this.waiters.add(waiter)
  }

  ask(): void {
    this.wait(this.host, this.service, result => {
      if (result.code !== 0) this.failed(result.code)
      else if (this.service === '')
        this.found(addressesOf(result.addresses, this.server, this.port, this.backup), result.expiresMs)
      else this.askHosts(result)
    })
  }

  private askHosts({ services, expiresMs }: Resolution): void {
    const hosts = services.slice(0, SERVICES_MAX).toSorted((a, b) => a.priority - b.priority)
    const known = new Map<Service, readonly string[]>()
    let open = hosts.length
    let expires = expiresMs
    let code = 0
    if (open === 0) this.failed(NOT_FOUND)
    for (const host of hosts) {
      const { name } = host
      this.wait(name, '', result => {
        if (result.code === 0) {
          expires = Math.min(expires, result.expiresMs)
          known.set(host, result.addresses)
        } else {
          if (code === 0 || result.code === NOT_FOUND) code = result.code
          const which = `while resolving service ${this.service} of ${this.host}`
          this.dns.complain(`${name} could not be resolved (${codeText(result.code)}) ${which}`)
        }
        if (--open > 0) return
        if (known.size === 0) this.failed(code)
        else this.found(this.ranked(hosts, known), expires)
      })
    }
  }

  /** First choice are the hosts of the least priority that has any addresses. */
  private ranked(hosts: readonly Service[], known: ReadonlyMap<Service, readonly string[]>): FoundAddress[] {
    const found: FoundAddress[] = []
    const first = hosts.find(host => known.has(host))!.priority
    for (const host of hosts) {
      const { name, port, weight, priority } = host
      const secondChoice = priority !== first
      // What is second choice among the backups has nowhere to go.
      if (secondChoice && this.backup) continue
      for (const address of addressesOf(known.get(host) ?? [], name, port, this.backup || secondChoice)) {
        found.push({ ...address, weight: Math.max(1, weight) })
      }
    }
    return found
  }

  private failed(code: number): void {
    const what = this.service === '' ? this.host : `service ${this.service} of ${this.host}`
    this.dns.complain(`${what} could not be resolved (${codeText(code)})`)
    if (code !== NOT_FOUND) {
      // What was known is still the best guess.
      this.askIn(this.dns.retryMs)
      return
    }
    this.dns.settle(this.id, [], 0)
    this.askIn(this.dns.unknownMs)
  }

  private found(addresses: readonly FoundAddress[], expiresMs: number): void {
    this.dns.settle(this.id, addresses, expiresMs)
    this.askIn(Math.max(AGAIN_MS, expiresMs - Date.now()))
  }
}

function addressesOf(addresses: readonly string[], server: string, port: number, backup: boolean): FoundAddress[] {
  return addresses.map(host => ({ name: peerName(host, port), server, weight: 1, backup }))
}
