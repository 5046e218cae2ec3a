// Where `portico serve` listens: names of hosts become addresses, port 0 one that is free, and sockets that are open already
// (fd://N, systemd's LISTEN_FDS) are taken for what they are.

import { lookup } from 'node:dns/promises'
import net from 'node:net'
import { resolve } from 'node:path'
import { listenAddress } from '../app/settings/bind.ts'
import type { BindAddress } from '../app/settings/bind.ts'
import { UsageError } from '../app/settings/setting.ts'
import { socketName } from '../process/socket-name.ts'

export type Listening = Exclude<BindAddress, { readonly type: 'fd' }>

/** systemd's first descriptor (sd_listen_fds). */
const FIRST = 3
/** For a master that replaces this one: what `fd://N` was. Its descriptors have other numbers. */
const NAMES = 'PORTICO_FD_NAMES'

interface Names {
  readonly activated: readonly number[]
  readonly names: Readonly<Record<string, Listening>>
}

/** Answers the same for the same address each time, over reloads. */
export class Addresses {
  private readonly settled = new Map<string, Listening>()
  private readonly open = new Map<string, number>()
  private readonly activated: readonly number[]

  constructor() {
    this.activated = activatedByUs()
    const before = process.env[NAMES]
    if (before === undefined) return
    const { activated, names } = JSON.parse(before) as Names
    this.activated = activated
    for (const [name, address] of Object.entries(names)) this.settled.set(name, address)
  }

  /** As Gunicorn, which listens nowhere else when it has been given sockets. */
  async settle(addresses: readonly BindAddress[]): Promise<readonly Listening[]> {
    const given = addresses.flatMap(address => (address.type === 'fd' ? [address.fd] : []))
    const all = [...new Set([...given, ...this.activated])]
    if (all.length > 0) return all.map(fd => this.known(`fd://${fd}`, () => this.adopt(fd)))
    const settled: Listening[] = []
    for (const address of addresses) {
      const name = listenAddress(address)
      const found = this.settled.get(name) ?? (await settleOne(address as Listening))
      this.settled.set(name, found)
      settled.push(found)
    }
    return settled
  }

  /** Descriptors that are open, by the keys that listening addresses have; relative paths are the folder's. */
  openSockets(folder: string): ReadonlyMap<string, number> {
    return new Map(
      [...this.open].map(([name, fd]) => {
        const address = this.settled.get(name)!
        return [address.type === 'unix' ? `unix:${resolve(folder, address.path)}` : listenAddress(address), fd]
      }),
    )
  }

  /** Tells whoever replaces this program. */
  remember(): void {
    const all = [...this.settled].filter(([name]) => name.startsWith('fd://'))
    const names: Names = { activated: this.activated, names: Object.fromEntries(all) }
    if (all.length > 0) process.env[NAMES] = JSON.stringify(names)
  }

  private known(name: string, find: () => Listening): Listening {
    const known = this.settled.get(name) ?? find()
    this.settled.set(name, known)
    return known
  }

  private adopt(fd: number): Listening {
    const name = socketName(fd)
    if (name === null) throw new UsageError(`invalid value "fd://${fd}" for --bind: it is no listening socket`)
    this.open.set(`fd://${fd}`, fd)
    return name
  }
}

/** The sockets systemd has opened for this very process; what it starts shall not take them for its own. */
function activatedByUs(): number[] {
  const { LISTEN_PID, LISTEN_FDS } = process.env
  if (Number(LISTEN_PID) !== process.pid) return []
  delete process.env['LISTEN_PID']
  delete process.env['LISTEN_FDS']
  return Array.from({ length: Number(LISTEN_FDS) || 0 }, (_, i) => FIRST + i)
}

/** A host's name becomes its address, and port 0 one that is free. */
async function settleOne(address: Listening): Promise<Listening> {
  if (address.type === 'unix') return address
  const host = address.host === '' || net.isIP(address.host) > 0 ? address.host : await addressOf(address.host)
  if (address.port > 0) return { ...address, host }
  const bound = new net.BoundSocket({ host: host === '' ? '0.0.0.0' : host, port: 0 })
  const { port } = bound.address()
  bound.close()
  return { type: 'tcp', host, port }
}

async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host, { order: 'ipv4first' })).address
  } catch {
    throw new UsageError(`invalid value "${host}" for --bind: there is no such host`)
  }
}
