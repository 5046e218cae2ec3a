// Names of shared memory zones, which are one space for all directives of a configuration: a zone belongs to the one directive
// and block that have declared it, and has one size (ngx_shared_memory_add).

import type { Scope, Site } from './directive.ts'

interface Zone {
  readonly owner: string
  bytes: number
}

/** By the scope of the whole file. */
const zonesOf = new WeakMap<Scope, Map<string, Zone>>()

/** The directive at hand declares a zone, or uses it again; refuses one that is another directive's. @param bytes 0: not said here */
export function claimZone(at: Site, name: string, bytes: number): void {
  let file = at.scope
  let block = ''
  for (; file.parent !== null; file = file.parent) block = file.statement?.name ?? block
  let zones = zonesOf.get(file)
  if (zones === undefined) {
    zones = new Map()
    zonesOf.set(file, zones)
  }
  const owner = `${block} ${at.name}`
  const known = zones.get(name)
  if (known === undefined) {
    zones.set(name, { owner, bytes })
    return
  }
  if (known.owner !== owner) at.fail(`the shared memory zone "${name}" is already declared for a different use`)
  if (known.bytes === 0) known.bytes = bytes
  if (bytes !== 0 && bytes !== known.bytes)
    at.fail(`the size ${bytes} of shared memory zone "${name}" conflicts with already declared size ${known.bytes}`)
}
