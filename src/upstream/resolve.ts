// Names in a configuration are looked up once, when it is read, as nginx does: a name unknown then is an error of the
// configuration, and a name with several addresses is as many peers. Node has no lookup that waits, so the system's own
// tool is asked; where there is none, the name is left to be resolved at each connect.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { isIPv4, isIPv6 } from 'node:net'

const known = new Map<string, readonly string[] | null>()

/** Addresses of a host, IPv4 before IPv6; null: there is no such host. */
export function resolveHost(host: string): readonly string[] | null {
  let addresses = known.get(host)
  if (addresses === undefined) {
    addresses = fromHosts(host) ?? fromSystem(host)
    known.set(host, addresses)
  }
  return addresses
}

/** A configuration that is read again looks again: what was unknown may have got a name. */
export function forgetHosts(): void {
  known.clear()
}

function fromHosts(host: string): readonly string[] | null {
  let text: string
  try {
    text = readFileSync('/etc/hosts', 'latin1')
  } catch {
    // No such file is as good as an empty one.
    return null
  }
  const addresses = new Set<string>()
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (names.some(name => name.toLowerCase() === host.toLowerCase())) addresses.add(address!)
  }
  return addresses.size === 0 ? null : ordered([...addresses])
}

function fromSystem(host: string): readonly string[] | null {
  // A name for a command line must not look like an option.
  if (!/^[A-Za-z0-9_][^\0]*$/.test(host)) return null
  const answer = spawnSync('getent', ['ahosts', host], { encoding: 'latin1', timeout: 30_000 })
  if (answer.error !== undefined) return [host]
  const addresses = new Set(answer.stdout.split('\n').map(line => line.split(/\s+/)[0]!))
  return answer.status === 0 ? ordered([...addresses]) : null
}

function ordered(addresses: string[]): readonly string[] {
  return [...addresses.filter(isIPv4), ...addresses.filter(address => isIPv6(address) && !address.includes('%'))]
}
