// The field Forwarded (RFC 7239): each proxy adds an element that tells from whom, how and for which host it was asked.
//
//   Forwarded: for=192.0.2.60;proto=https, for="[2001:db8::1]:4711";host=example.org
//
// Read from its end, where the nearest proxy has written: an element counts as long as everybody behind it is trusted.

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

/** The element that tells of the client itself; null: there is none, or the field is broken. */
export function lastForwarded(r: HttpRequest, proxies: TrustedProxies, everybody: boolean): ForwardedElement | null {
  const { names, values, count } = r.head
  const all: string[] = []
  for (let i = 0; i < count; i++) if (names[i] === 'forwarded') all.push(values[i]!)
  if (all.length === 0) return null
  const elements = parseForwarded(all.join(','))
  if (elements === null) return null
  for (let i = elements.length - 1; i >= 0; i--) {
    const element = elements[i]!
    if (i === 0 || element.address === '' || (!everybody && !proxies.contains(element.address))) return element
  }
  return null
}

const PAIR = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\[^])*)"|([!#$%&'*+.^_`|~0-9A-Za-z:[\]-]*))\s*([;,]|$)/y

/** Null: it is no such field, and nothing in it is believed. */
export function parseForwarded(text: string): readonly ForwardedElement[] | null {
  const elements: ForwardedElement[] = []
  let pairs = new Map<string, string>()
  let at = 0
  while (at < text.length) {
    PAIR.lastIndex = at
    const found = PAIR.exec(text)
    if (found === null) return null
    const [whole, name, quoted, token, separator] = found
    at += whole.length
    const key = name!.toLowerCase()
    // Twice the same name in one element: whose is it?
    if (pairs.has(key)) return null
    pairs.set(key, quoted === undefined ? token! : quoted.replaceAll(/\\([^])/g, '$1'))
    if (separator === ';') continue
    elements.push(elementOf(pairs))
    pairs = new Map()
  }
  return pairs.size === 0 && !/[;,]\s*$/.test(text) ? elements : null
}

function elementOf(pairs: ReadonlyMap<string, string>): ForwardedElement {
  const node = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(pairs.get('for') ?? '')
  const host = node?.[1] ?? node?.[2] ?? ''
  const known = parseAddress(host) !== null
  return {
    address: known ? canonicalAddress(host) : '',
    port: known ? Number(node?.[3] ?? 0) : 0,
    proto: pairs.get('proto') ?? '',
    host: pairs.get('host') ?? '',
  }
}
