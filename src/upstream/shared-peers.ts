// The servers of a group with a `zone`: shared by all threads, kept over a reload, and changed while running, by DNS
// (upstream/dns-peers.ts), by health checks and by the API. Each thread has Peers of its own that stand on the common
// numbers; it makes its lists anew when the table's version has changed, which is one look per request.

import type { Group, PeerSource } from './group.ts'
import { OFF, Peer, setOptions } from './peer.ts'
import type { PeerOptions } from './peer.ts'
import { BACKUP, CHILD, NAME, PeerSlots, ROUTE, SERVER, SERVICE, TEMPLATE } from './peer-slots.ts'
import { addressOf, peerName, peerOptions, serverLine } from './server.ts'
import type { ServerDeclaration } from './server.ts'
import { murmurHash2 } from '../lib/murmur-hash.ts'

/** A server of the configuration, with the peers it is; none where the name is asked for at run time. */
export interface Entry {
  readonly declaration: ServerDeclaration
  readonly names: readonly string[]
}

/** An address that a name has turned out to be. */
export interface FoundAddress {
  readonly name: string
  /** Of a service: the host, its weight and whether it is one of the second choice. */
  readonly server: string
  readonly weight: number
  readonly backup: boolean
}

/** Behind everything the configuration says. */
const ORDER_LAST = 1_000_000

export class SharedPeers implements PeerSource {
  readonly slots: PeerSlots
  private seen = -1
  /** This thread's, by id. */
  private peers = new Map<number, Peer>()

  /** @param mandatory a new server is not to be used before a health check says so */
  constructor(memory: SharedArrayBuffer, entries: readonly Entry[], mandatory = false) {
    this.slots = new PeerSlots(memory)
    this.slots.mandatory = mandatory
    const signature = signatureOf(entries)
    this.change(() => {
      if (this.slots.signature === signature) return false
      this.slots.signature = signature
      this.reconcile(entries)
      return true
    })
  }

  /** Runs it under the lock; it answers whether the others must look again. */
  private change(run: () => boolean): void {
    this.slots.lock()
    if (run()) this.slots.changed()
    this.slots.unlock()
  }

  /** What is in use now is what the next configuration will find written. */
  saved(entries: readonly Entry[]): void {
    this.slots.signature = signatureOf(entries)
  }

  sync(group: Group): void {
    const { slots } = this
    if (slots.version === this.seen) return
    slots.lock()
    this.seen = slots.version
    const before = this.peers
    this.peers = new Map()
    const servers: Peer[] = []
    const backups: Peer[] = []
    for (const at of slots.used()) {
      if (slots.has(at, TEMPLATE)) continue
      const peer = this.peerAt(at, before)
      this.peers.set(peer.id, peer)
      const level = slots.has(at, BACKUP) ? backups : servers
      level.push(peer)
    }
    slots.unlock()
    group.peers = servers
    group.backups = backups
    group.keepalive?.retain(peer => this.peers.get(peer.id) === peer)
  }

  /** The thread ends. */
  stop(): void {
    for (const peer of this.peers.values()) peer.leaveAll()
  }

  private peerAt(at: number, known: ReadonlyMap<number, Peer>): Peer {
    const { slots } = this
    const [id, name, server, route] = [
      slots.id(at),
      slots.text(at, NAME),
      slots.text(at, SERVER),
      slots.text(at, ROUTE),
    ]
    const options: PeerOptions = route === '' ? { server } : { server, route }
    const peer = known.get(id)
    const same =
      peer !== undefined && peer.name === name && peer.server === server && (route === '' || peer.sid === route)
    return same ? peer : new Peer(name, addressOf(name), options, id, slots.numbers(at))
  }

  // ── the configuration ────────────────────────────────────────────────────────────────────────────────────────────

  /** What there was and still is keeps its numbers, and names asked for at run time keep their addresses. */
  private reconcile(entries: readonly Entry[]): void {
    const { slots } = this
    const old = slots.used().filter(at => !slots.has(at, CHILD))
    const children = slots.used().filter(at => slots.has(at, CHILD))
    const take = (key: string): number => {
      const i = old.findIndex(at => this.keyAt(at) === key)
      return i === -1 ? slots.add() : old.splice(i, 1)[0]!
    }
    for (const [order, { declaration, names }] of entries.entries()) {
      for (const name of declaration.resolve ? [''] : names) {
        const at = take(keyOf(declaration, name))
        if (at === -1) continue
        this.write(at, declaration, name, order)
        for (const child of children) if (slots.parent(child) === slots.id(at)) this.inherit(child, at)
      }
    }
    for (const gone of old) this.removeAt(gone)
  }

  private keyAt(at: number): string {
    const { slots } = this
    const backup = slots.has(at, BACKUP) ? 1 : 0
    if (slots.has(at, TEMPLATE)) {
      return `${backup} resolve ${slots.text(at, SERVER).replace(/:\d+$/, '')} ${slots.text(at, SERVICE)}`
    }
    return `${backup} ${slots.text(at, SERVER)} ${slots.text(at, NAME)}`
  }

  private write(at: number, declaration: ServerDeclaration, name: string, order: number): void {
    const { slots } = this
    setOptions(slots.numbers(at), peerOptions(declaration))
    slots.setOrder(at, order)
    slots.setFlags(at, (declaration.backup ? BACKUP : 0) | (declaration.resolve ? TEMPLATE : 0))
    slots.setPort(at, declaration.url.port)
    slots.setText(at, NAME, name)
    slots.setText(at, SERVER, declaration.server)
    slots.setText(at, ROUTE, declaration.options.route)
    slots.setText(at, SERVICE, declaration.service)
  }

  /** An address follows what its name's line says now. */
  private inherit(child: number, template: number): void {
    const { slots } = this
    const numbers = slots.numbers(child)
    const weight = new Peer('', addressOf(':0'), {}, 0, numbers).weight
    const options = this.optionsAt(template)
    const isService = slots.text(template, SERVICE) !== ''
    setOptions(numbers, isService && options.weight === 1 ? { ...options, weight } : options)
    slots.setOrder(child, slots.order(template))
    slots.setText(child, ROUTE, slots.text(template, ROUTE))
    if (isService) return
    const address = addressOf(slots.text(child, NAME))
    if ('host' in address) slots.setText(child, NAME, peerName(address.host, slots.port(template)))
    slots.setText(child, SERVER, slots.text(template, SERVER))
  }

  private optionsAt(at: number): Required<Omit<PeerOptions, 'server' | 'route'>> {
    const { weight, maxConns, maxFails, failTimeout, slowStart, down } = new Peer(
      '',
      addressOf(':0'),
      {},
      0,
      this.slots.numbers(at),
    )
    return { weight, maxConns, maxFails, failTimeout, slowStart, down: (down & 1) !== 0, drain: (down & 8) !== 0 }
  }

  private removeAt(at: number): void {
    const { slots } = this
    if (slots.has(at, TEMPLATE)) {
      for (const child of slots.used()) {
        if (slots.has(child, CHILD) && slots.parent(child) === slots.id(at)) slots.remove(child)
      }
    }
    slots.remove(at)
  }

  // ── names at run time ────────────────────────────────────────────────────────────────────────────────────────────

  /** The addresses of a template are these from now on. @returns false: there is no room for all of them */
  setAddresses(templateId: number, found: readonly FoundAddress[], validUntil: number): boolean {
    let room = true
    this.change(() => {
      const template = this.slots.byId(templateId)
      if (template === -1) return false
      this.slots.setValid(template, validUntil)
      const missing = [...found]
      let changed = this.dropUnfound(template, missing)
      for (const address of missing) {
        const at = this.slots.add()
        if (at === -1) room = false
        else {
          this.writeChild(at, template, address)
          changed = true
        }
      }
      return changed
    })
    return room
  }

  /** Takes from `missing` what is there already. */
  private dropUnfound(template: number, missing: FoundAddress[]): boolean {
    const { slots } = this
    const isService = slots.text(template, SERVICE) !== ''
    const options = this.optionsAt(template)
    let changed = false
    for (const child of slots.used()) {
      if (!slots.has(child, CHILD) || slots.parent(child) !== slots.id(template)) continue
      const name = slots.text(child, NAME)
      const at = missing.findIndex(
        address =>
          address.name === name &&
          (!isService ||
            (address.backup === slots.has(child, BACKUP) &&
              address.server === slots.text(child, SERVER) &&
              (options.weight !== 1 || address.weight === this.optionsAt(child).weight))),
      )
      if (at !== -1) missing.splice(at, 1)
      else {
        slots.remove(child)
        changed = true
      }
    }
    return changed
  }

  private writeChild(at: number, template: number, { name, server, weight, backup }: FoundAddress): void {
    const { slots } = this
    const options = this.optionsAt(template)
    setOptions(slots.numbers(at), options.weight === 1 ? { ...options, weight } : options)
    slots.setFlags(at, CHILD | (backup ? BACKUP : 0))
    slots.setParent(at, slots.id(template))
    slots.setOrder(at, slots.order(template))
    slots.setText(at, NAME, name)
    slots.setText(at, SERVER, server)
    slots.setText(at, ROUTE, slots.text(template, ROUTE))
  }

  // ── changes by hand ──────────────────────────────────────────────────────────────────────────────────────────────

  /** @returns the ids, or null: there is no room */
  add({ declaration, names }: Entry): number[] | null {
    const ids: number[] = []
    let full = false
    this.change(() => {
      for (const name of declaration.resolve ? [''] : names) {
        const at = this.slots.add()
        if (at === -1) {
          for (const id of ids) this.removeAt(this.slots.byId(id))
          full = true
          return ids.length > 0
        }
        this.write(at, declaration, name, ORDER_LAST)
        ids.push(this.slots.id(at))
      }
      return true
    })
    return full ? null : ids
  }

  /** Sets what a line could say of it. @returns false: there is no such server */
  update(id: number, options: PeerOptions): boolean {
    let found = false
    this.change(() => {
      const { slots } = this
      const at = slots.byId(id)
      if (at === -1) return false
      found = true
      const before = this.optionsAt(at)
      const peer = new Peer('', addressOf(':0'), {}, 0, slots.numbers(at))
      const downBefore = peer.down
      setOptions(peer.numbers, { ...before, ...options })
      const downAfter = peer.down
      // As an event: so that time out of use is counted, and slow_start begins.
      peer.numbers[OFF] = downBefore
      peer.setDown(downBefore & ~downAfter, downAfter & ~downBefore)
      if (options.route !== undefined) slots.setText(at, ROUTE, options.route)
      for (const child of slots.used()) {
        if (slots.has(child, CHILD) && slots.parent(child) === id) this.inherit(child, at)
      }
      return true
    })
    return found
  }

  remove(id: number): boolean {
    let found = false
    this.change(() => {
      const at = this.slots.byId(id)
      if (at === -1) return false
      found = true
      this.removeAt(at)
      return true
    })
    return found
  }
}

/** Tells whether a configuration, or a state file, says the same as the last one. */
function signatureOf(entries: readonly Entry[]): number {
  const lines = entries.map(({ declaration, names }) => `${serverLine(declaration)} ${names.join(' ')}`)
  return murmurHash2(lines.join('\n')) | 1
}

function keyOf({ server, url, backup, resolve, service }: ServerDeclaration, name: string): string {
  const level = backup ? 1 : 0
  return resolve ? `${level} resolve ${url.host} ${service}` : `${level} ${server} ${name}`
}
