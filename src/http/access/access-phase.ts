// How the checks of the access phase add up (ngx_http_core_access_phase): under `satisfy all` the first refusal counts,
// under `satisfy any` the first consent, and else the refusals are remembered, 401 before 403. Subrequests are not checked.
//
// A check answers ALLOWED, NEXT (no opinion) or a status; its step hands that to settleAccess().

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { oneOf, time } from '../../config/values.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { ERR, INFO } from '../../log/error-log.ts'
import { dropField } from '../altered-body.ts'
import { NEXT, SKIP, WAIT, type Handler, type LocationBuilder } from '../module.ts'
import type { Explained } from '../notes.ts'
import { resume } from '../phases.ts'
import type { HttpRequest } from '../request.ts'
import { isProxyRequest } from './basic-credentials.ts'

/** A check's consent. Not a step's answer. */
export const ALLOWED = -1

export const accessDirectives = {
  satisfy: oneOf(HTTP | SERVER | LOCATION, ['all', 'any'], 'all'),
  auth_delay: time(HTTP | SERVER | LOCATION, 0),
}

interface Check {
  readonly run: Handler<any>
  readonly conf: unknown
  readonly policy: AccessPolicy
}

export interface AccessPolicy {
  readonly any: boolean
  readonly delayMs: number
}

/**
 * Adds a check to the location. One that answers WAIT settles by itself: resume(r, settleAccess(r, policy, answer)).
 * @param describe what `portico explain` says of it
 */
export function addAccessCheck<C>(
  at: LocationBuilder,
  run: Handler<C>,
  conf: C,
  describe?: Explained<C>['describe'],
): AccessPolicy {
  const { satisfy, auth_delay } = at.scope.conf(accessDirectives)
  const policy = { any: satisfy === 'any', delayMs: auth_delay }
  const explained = describe === undefined ? undefined : { describe: (r: HttpRequest) => describe(r, conf) }
  at.step('access', checkAccess, { run, conf, policy }, explained)
  return policy
}

function checkAccess(r: HttpRequest, check: Check): number {
  if (r.parent !== null) return SKIP
  const answer = check.run(r, check.conf)
  return answer === WAIT ? WAIT : settleAccess(r, check.policy, answer)
}

/** What a check's answer means for the request, as a step's answer. */
export function settleAccess(r: HttpRequest, policy: AccessPolicy, answer: number): number {
  if (answer === NEXT) return NEXT
  if (!policy.any) return answer === ALLOWED ? NEXT : refuse(r, policy, answer)
  if (answer === ALLOWED) {
    r.accessStatus = 0
    // Nobody needs to authenticate any more.
    dropField(r, isProxyRequest(r) ? 'proxy-authenticate' : 'www-authenticate')
    return SKIP
  }
  if (answer !== 403 && !asksForPassword(answer)) return answer
  if (!asksForPassword(r.accessStatus)) r.accessStatus = answer
  return NEXT
}

/** The phase's last step, for `satisfy any`: somebody must have consented, if anybody was asked. */
export function concludeAccess(r: HttpRequest, policy: AccessPolicy): number {
  const status = r.accessStatus
  r.accessStatus = 0
  if (status === 403) r.log(ERR, 'access forbidden by rule')
  return status === 0 ? NEXT : refuse(r, policy, status)
}

/** 407 is what 401 is called for CONNECT. */
function asksForPassword(status: number): boolean {
  return status === 401 || status === 407
}

/** auth_delay makes guessing slow, and answers equally slow whatever was wrong. */
function refuse(r: HttpRequest, policy: AccessPolicy, status: number): number {
  if (!asksForPassword(status) || policy.delayMs === 0) return status
  r.log(INFO, 'delaying unauthorized request')
  timers.arm(new Timer(r, status === 401 ? delayed : delayedProxy), policy.delayMs)
  return WAIT
}

function delayed(r: HttpRequest): void {
  resume(r, 401)
}

function delayedProxy(r: HttpRequest): void {
  resume(r, 407)
}
