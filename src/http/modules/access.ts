// allow and deny by the client's address: the first rule that matches counts (ngx_http_access_module).

import {
  HTTP,
  LIMIT_EXCEPT,
  LOCATION,
  SERVER,
  STREAM,
  STREAM_SERVER,
  type Directive,
  type Scope,
  type Site,
} from '../../config/directive.ts'
import { NetworkRules } from '../../lib/cidr.ts'
import { parseAddress, parseIpv6, parseNetwork, type Network } from '../../lib/networks.ts'
import { ERR } from '../../log/error-log.ts'
import { accessDirectives, addAccessCheck, ALLOWED } from '../access/access-phase.ts'
import { httpModule, NEXT } from '../module.ts'
import type { HttpRequest } from '../request.ts'

interface Rule {
  readonly order: number
  readonly denies: boolean
  readonly who: Network | 'all' | 'unix:'
}

function rules(denies: boolean): Directive<readonly Rule[]> {
  return {
    in: HTTP | SERVER | LOCATION | LIMIT_EXCEPT | STREAM | STREAM_SERVER,
    args: [1, 1],
    default: [],
    repeatable: true,
    parse: ([word], at, soFar = []) => [...soFar, { order: at.order, denies, who: readWho(word!, at) }],
  }
}

function readWho(word: string, at: Site): Rule['who'] {
  if (word === 'all' || word === 'unix:') return word
  const network = parseNetwork(word) ?? at.fail(`invalid parameter "${word}"`)
  if (network.hasLowBits) at.warn(`low address bits of ${word} are meaningless`)
  return network
}

const directives = { allow: rules(false), deny: rules(true) }

export const access = httpModule({
  name: 'access',
  directives,
  inStream: true,
  connection(_conf, at) {
    const block = blockInForce(at.scope)
    if (block !== null) at.access(checkAddress, { rules: compileRules(block), logs: true })
  },
  compile(_conf, at) {
    const block = blockInForce(at.scope)
    if (block === null) return
    const logs = at.scope.conf(accessDirectives).satisfy === 'all'
    addAccessCheck(at, checkAddress, { rules: compileRules(block), logs })
  },
})

/** A block with a rule of either kind inherits none. */
function blockInForce(scope: Scope): Scope | null {
  for (let at: Scope | null = scope; at !== null; at = at.parent) if (at.has('allow') || at.has('deny')) return at
  return null
}

interface AccessRules {
  readonly networks: NetworkRules
  /** Which rule is for everybody, which the first for Unix sockets; Infinity for none. */
  readonly all: number
  readonly unix: number
  readonly knowsIpv4: boolean
  readonly denies: readonly boolean[]
}

interface AccessConf {
  readonly rules: AccessRules
  readonly logs: boolean
}

// Who inherits a block's rules shares what they come to.
const compiled = new WeakMap<Scope, AccessRules>()

function compileRules(block: Scope): AccessRules {
  const known = compiled.get(block)
  if (known !== undefined) return known
  const conf = block.conf(directives)
  const own = [...(block.has('allow') ? conf.allow : []), ...(block.has('deny') ? conf.deny : [])]
  const made = makeRules(own.sort((a, b) => a.order - b.order))
  compiled.set(block, made)
  return made
}

function makeRules(list: readonly Rule[]): AccessRules {
  const networks: (readonly [Network, number])[] = []
  let all = Infinity
  let unix = Infinity
  list.forEach(({ who }, i) => {
    if (who === 'all') all = Math.min(all, i)
    else if (who === 'unix:') unix = Math.min(unix, i)
    else networks.push([who, i])
  })
  const knowsIpv4 = all !== Infinity || networks.some(([{ base }]) => typeof base === 'number')
  return { networks: new NetworkRules(networks), all, unix, knowsIpv4, denies: list.map(rule => rule.denies) }
}

function checkAddress(r: HttpRequest, { rules, logs }: AccessConf): number {
  const rule = Math.min(rules.all, specific(r.clientAddress, rules))
  if (rule === Infinity) return NEXT
  if (!rules.denies[rule]) return ALLOWED
  if (logs) r.log(ERR, 'access forbidden by rule')
  return 403
}

function specific(clientAddress: string, { networks, unix, knowsIpv4 }: AccessRules): number {
  if (clientAddress === 'unix:') return unix
  // IPv4 in IPv6's clothes is IPv4, unless there is no rule for IPv4 (ngx_http_access_handler).
  const address = knowsIpv4 ? parseAddress(clientAddress) : parseIpv6(clientAddress)
  const found = address === null ? -1 : networks.find(address)
  return found < 0 ? Infinity : found
}
