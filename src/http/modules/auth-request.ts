// auth_request: whether a request may go on is for a subrequest to say: 2xx yes, 401 and 403 no (ngx_http_auth_request_module).

import { HTTP, LOCATION, SERVER, type Directive, type Scope, type Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { one } from '../../config/values.ts'
import { ERR } from '../../log/error-log.ts'
import { addAccessCheck, ALLOWED, settleAccess, type AccessPolicy } from '../access/access-phase.ts'
import { httpModule, Slot, WAIT, type Value } from '../module.ts'
import { resume } from '../phases.ts'
import type { HttpRequest } from '../request.ts'
import { DroppedOutput, makeSubrequest, startSubrequest } from '../subrequest.ts'
import { upstreamSlot } from '../upstream/exchange.ts'
import { readValue, valueIndex, writeValue } from '../variable-values.ts'
import { coreVariables } from '../server/variables.ts'

interface Assignment {
  readonly name: string
  readonly value: Template
  readonly site: Site
}

const everywhere = HTTP | SERVER | LOCATION

const authRequestSet: Directive<readonly Assignment[]> = {
  in: everywhere,
  args: [2, 2],
  default: [],
  repeatable: true,
  parse([variable, value], at, soFar = []) {
    if (!/^\$./s.test(variable!)) at.fail(`invalid variable name "${variable}"`)
    return [...soFar, { name: variable!.slice(1).toLowerCase(), value: Template.parse(value!, at), site: at }]
  },
}

const directives = {
  auth_request: one<string | null>(everywhere, null, word => (word === 'off' ? null : word)),
  auth_request_set: authRequestSet,
}

export const authRequest = httpModule({
  name: 'auth-request',
  directives,
  setup(_conf, http) {
    for (const { name, site } of assignments(http.scope)) {
      if (coreVariables[name]?.set !== undefined) continue
      const index = valueIndex(name)
      http.define(name, { get: r => readValue(r, index) ?? null, set: (r, value) => writeValue(r, index, value) }, site)
    }
  },
  compile(conf, at, http) {
    if (conf.auth_request === null) return
    const own: AuthRequest = {
      uri: conf.auth_request,
      set: conf.auth_request_set.map(({ name, value, site }) => {
        const { set } = http.variable(name, site)
        return { set: set ?? site.fail(`the duplicate "${name}" variable`), value: at.value(value) }
      }),
      policy: null,
    }
    own.policy = addAccessCheck(at, ask, own)
  },
})

/** Those of all blocks: a variable is known everywhere. */
function assignments(scope: Scope): Assignment[] {
  return [
    ...(scope.has('auth_request_set') ? scope.conf(directives).auth_request_set : []),
    ...scope.children.flatMap(assignments),
  ]
}

interface AuthRequest {
  readonly uri: string
  readonly set: readonly { readonly set: (r: HttpRequest, value: string) => void; readonly value: Value }[]
  policy: AccessPolicy | null
}

const asked = new Slot<AuthRequest>()

function ask(r: HttpRequest, conf: AuthRequest): number {
  const sub = makeSubrequest(r, conf.uri, '', new DroppedOutput(r, answered))
  if (sub === null) return 500
  asked.set(sub, conf)
  return startSubrequest(sub) && !r.done ? judge(r, sub, conf) : WAIT
}

function answered(sub: HttpRequest): void {
  const r = sub.parent!
  if (r.done) return
  const conf = asked.get(sub)!
  resume(r, settleAccess(r, conf.policy!, judge(r, sub, conf)))
}

function judge(r: HttpRequest, sub: HttpRequest, conf: AuthRequest): number {
  for (const { set, value } of conf.set) set(r, value.get(sub))
  const { status } = sub
  if (status === 403) return 403
  if (status === 401) {
    passChallenges(r, sub)
    return 401
  }
  if (status >= 200 && status < 300) return ALLOWED
  r.log(ERR, `auth request unexpected status: ${status}`)
  return 500
}

/** How to authenticate is for the one who asks for it to say: on the response, or in the upstream's that it replaced. */
function passChallenges(r: HttpRequest, sub: HttpRequest): void {
  const before = r.outNames.length
  for (let i = 0; i < sub.outNames.length; i++) {
    if (sub.outNames[i]!.toLowerCase() === 'www-authenticate') r.addHeader('WWW-Authenticate', sub.outValues[i]!)
  }
  const upstream = upstreamSlot.get(sub)
  if (upstream === null || r.outNames.length > before) return
  for (let i = 0; i < upstream.names.length; i++) {
    if (upstream.names[i] === 'www-authenticate') r.addHeader('WWW-Authenticate', upstream.values[i]!)
  }
}
