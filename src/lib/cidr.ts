// Ordered lists of networks (`allow`, `deny`), first match wins, made into sorted ranges: a look-up is one binary search,
// however many networks there are.
//
//   10.0.0.0/8 deny #0                  0───────10.0.0.0──────────11.0.0.0──192.0.2.0──192.0.3.0──
//   192.0.2.0/24 allow #1      ──▶      -1      #0               -1         #1         -1

import type { Address, Network } from './networks.ts'
import { lastAtOrBefore } from './sorted.ts'

interface Entry {
  readonly network: Network
  readonly order: number
}

/** Networks of one family; what an address finds is the lowest number of those that contain it. */
class FirstMatch {
  /** Where ranges begin, ascending, and the number that holds from there on; -1 for none. */
  private readonly starts: Address[] = []
  private readonly orders: number[] = []

  /** @param entries networks of one family with the order of their rules */
  constructor(entries: readonly Entry[]) {
    const sorted = entries.toSorted(
      (a, b) => compare(a.network.base, b.network.base) || a.network.prefix - b.network.prefix,
    )
    // Networks nest: those that contain the present one, outermost first, with the lowest number up to there.
    const around: { last: Address; lowest: number }[] = []
    for (const { network, order } of sorted) {
      this.leave(around, network.base)
      const outer = around.at(-1)
      const lowest = outer === undefined ? order : Math.min(outer.lowest, order)
      around.push({ last: network.last, lowest })
      this.begin(network.base, lowest)
    }
    this.leave(around, null)
  }

  /** The number for an address, -1 for none. */
  find(address: Address): number {
    const at = lastAtOrBefore(this.starts, address)
    return at < 0 ? -1 : this.orders[at]!
  }

  /** Ends the networks that do not reach `next`; all of them for null. */
  private leave(around: { last: Address; lowest: number }[], next: Address | null): void {
    for (let ended = around.at(-1); ended !== undefined; ended = around.at(-1)) {
      if (next !== null && ended.last >= next) return
      around.pop()
      const after = successor(ended.last)
      if (after !== null) this.begin(after, around.at(-1)?.lowest ?? -1)
    }
  }

  private begin(start: Address, order: number): void {
    if (this.starts.at(-1) === start) {
      this.starts.pop()
      this.orders.pop()
    }
    if ((this.orders.at(-1) ?? -1) === order) return
    this.starts.push(start)
    this.orders.push(order)
  }
}

function compare(a: Address, b: Address): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The next address, null behind the last one. */
function successor(address: Address): Address | null {
  if (typeof address === 'number') return address === 0xffffffff ? null : address + 1
  for (let i = 15; i >= 0; i--) {
    const byte = address.charCodeAt(i)
    if (byte < 255) return address.slice(0, i) + String.fromCharCode(byte + 1) + '\0'.repeat(15 - i)
  }
  return null
}

/** Networks of both families in the order of their rules. */
export class NetworkRules {
  private readonly v4: FirstMatch
  private readonly v6: FirstMatch

  constructor(networks: readonly (readonly [network: Network, order: number])[]) {
    const entries = networks.map(([network, order]) => ({ network, order }))
    this.v4 = new FirstMatch(entries.filter(({ network }) => typeof network.base === 'number'))
    this.v6 = new FirstMatch(entries.filter(({ network }) => typeof network.base === 'string'))
  }

  /** The lowest order among the networks that contain the address, -1 for none. */
  find(address: Address): number {
    return typeof address === 'number' ? this.v4.find(address) : this.v6.find(address)
  }
}
