// The field Forwarded (RFC 7239): each proxy adds an element that tells from whom, how and for which host it was asked.
//
//   Forwarded: for=192.0.2.60;proto=https, for="[2001:db8::1]:4711";host=example.org
//
// Read from its end, where the nearest proxy has written: an element counts as long as everybody behind it is trusted. What is in
// front of that may be a client's own: where it is broken, it takes away nothing of what proxies have said.

import { canonicalAddress, parseAddress } from '../../lib/networks.ts'
import type { TrustedProxies } from './forwarded-address.ts'
import type { HttpRequest } from '../request.ts'

export interface ForwardedElement {
  /** '' where it is not an address: hidden, or unknown. */
  readonly address: string
  readonly port: number
  readonly proto: string
  readonly host: string
}

/** The element that tells of the client itself, or of the farthest proxy that has been told of; null: there is none. */
export function lastForwarded(r: HttpRequest, proxies: TrustedProxies, everybody: boolean): ForwardedElement | null {
  const { names, values, count } = r.head
  let last: ForwardedElement | null = null
  for (let i = count - 1; i >= 0; i--) {
    if (names[i] !== 'forwarded') continue
    const { elements, isWhole } = readForwarded(values[i]!)
    for (let at = elements.length - 1; at >= 0; at--) {
      last = elements[at]!
      if (last.address === '' || (!everybody && !proxies.contains(last.address))) return last
    }
    if (!isWhole) return last
  }
  return last
}

const SPACE = /[ \t]*/y
const PAIR =
  /([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\[^])*)"|([!#$%&'*+.^_`|~0-9A-Za-z:[\]-]*))[ \t]*(?=[;,]|$)/y
/** Of an element that cannot be read from the field's start: where the field is to be read from its end. */
const BROKEN_MAX = 32

export interface ForwardedField {
  /** The last ones, as many as can be read. */
  readonly elements: readonly ForwardedElement[]
  readonly isWhole: boolean
}

export function readForwarded(text: string): ForwardedField {
  const whole = parseForwarded(text, 0)
  if (whole !== null) return { elements: whole, isWhole: true }
  // A client may have opened a quote that it does not close: each comma may be the one that a proxy has put behind that.
  let elements: readonly ForwardedElement[] = []
  let comma = text.lastIndexOf(',')
  for (let tries = 0; comma >= 0 && tries < BROKEN_MAX; tries++) {
    const more = parseForwarded(text, comma + 1)
    // Not more of them: a quote has taken some in.
    if (more !== null && more.length > elements.length) elements = more
    if (comma === 0) break
    comma = text.lastIndexOf(',', comma - 1)
  }
  return { elements, isWhole: false }
}

/** From there to the end. Null: that is no such field. Elements and pairs may be empty. */
function parseForwarded(text: string, from: number): ForwardedElement[] | null {
  const elements: ForwardedElement[] = []
  let pairs = new Map<string, string>()
  for (let at = from; ; at++) {
    SPACE.lastIndex = at
    at += SPACE.exec(text)![0].length
    PAIR.lastIndex = at
    const found = PAIR.exec(text)
    if (found !== null) {
      const [whole, name, quoted, token] = found
      at += whole.length
      const key = name!.toLowerCase()
      // Twice the same name in one element: whose is it?
      if (pairs.has(key)) return null
      pairs.set(key, quoted === undefined ? token! : quoted.replaceAll(/\\([^])/g, '$1'))
    }
    if (text[at] === ';') continue
    if (at < text.length && text[at] !== ',') return null
    if (pairs.size > 0) elements.push(elementOf(pairs))
    if (at >= text.length) return elements
    pairs = new Map()
  }
}

function elementOf(pairs: ReadonlyMap<string, string>): ForwardedElement {
  const node = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(?:(\d{1,5})|_[\w.-]+))?$/.exec(pairs.get('for') ?? '')
  const host = node?.[1] ?? node?.[2] ?? ''
  const known = parseAddress(host) !== null
  return {
    address: known ? canonicalAddress(host) : '',
    port: known ? Number(node?.[3] ?? 0) : 0,
    proto: pairs.get('proto') ?? '',
    host: pairs.get('host') ?? '',
  }
}
