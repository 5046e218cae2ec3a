// limit_req: how many requests with the same key may come in a time; what is above it waits or is refused
// (ngx_http_limit_req_module). The counting is zone/request-rate.ts's.

import { HTTP, LOCATION, SERVER, type Directive, type Site } from '../../config/directive.ts'
import { parseNumber } from '../../config/units.ts'
import { flag, list, number } from '../../config/values.ts'
import { LONGEST_DELAY } from '../../lib/longest-delay.ts'
import { ALERT, ERR, INFO } from '../../log/error-log.ts'
import { ABOVE, account, check, excess, NO_ROOM, release } from '../../zone/request-rate.ts'
import { addZone, limitLogLevel, LimitZone, parseZone, type ZoneDeclaration } from '../access/limit-zones.ts'
import { httpModule, NEXT, Slot, WAIT } from '../module.ts'
import { resume } from '../phases.ts'
import type { HttpRequest } from '../request.ts'
import { RegistryKey, type HttpSetup } from '../setup.ts'
import { mainOf } from '../subrequest.ts'

const everywhere = HTTP | SERVER | LOCATION

interface RateZoneDeclaration extends ZoneDeclaration {
  /** Thousandths of requests a second. */
  readonly rate: number
}

function parseRateZone(args: readonly string[], at: Site): RateZoneDeclaration {
  let rate = 1000
  const zone = parseZone(args, at, word => {
    const [, count, unit] = /^rate=(.*?)(r\/[sm])?$/s.exec(word) ?? []
    if (count === undefined) return false
    const requests = parseNumber(count) || at.fail(`invalid rate "${word}"`)
    rate = Math.trunc((requests * 1000) / (unit === 'r/m' ? 60 : 1))
    return true
  })
  return { ...zone, rate }
}

interface LimitDeclaration {
  readonly zone: string
  /** Thousandths of requests. */
  readonly burst: number
  readonly delay: number
  readonly site: Site
}

function parseLimit(args: readonly string[], at: Site): LimitDeclaration {
  let zone = ''
  let burst = 0
  let delay = 0
  for (const word of args) {
    if (word.startsWith('zone=')) zone = word.slice(5)
    else if (word.startsWith('burst=')) burst = parseNumber(word.slice(6)) || at.fail(`invalid burst value "${word}"`)
    else if (word.startsWith('delay=')) delay = parseNumber(word.slice(6)) || at.fail(`invalid delay value "${word}"`)
    else if (word === 'nodelay') delay = Infinity
    else at.fail(`invalid parameter "${word}"`)
  }
  if (zone === '') at.fail(`"${at.name}" must have "zone" parameter`)
  return { zone, burst: burst * 1000, delay: delay * 1000, site: at }
}

const limitReq: Directive<readonly LimitDeclaration[]> = {
  in: everywhere,
  args: [1, 3],
  default: [],
  repeatable: true,
  parse(args, at, soFar = []) {
    const limit = parseLimit(args, at)
    if (soFar.some(other => other.zone === limit.zone)) at.fail('"limit_req" directive is duplicate')
    return [...soFar, limit]
  },
}

const directives = {
  limit_req_zone: list(HTTP, [3, 3], parseRateZone),
  limit_req: limitReq,
  limit_req_log_level: limitLogLevel(everywhere),
  limit_req_status: number(everywhere, 503, 400, 599),
  limit_req_dry_run: flag(everywhere, false),
}

class RateZone extends LimitZone {
  readonly rate: number

  constructor(declared: RateZoneDeclaration, http: HttpSetup) {
    super(declared, http)
    this.rate = declared.rate
  }
}

const KIND = 'limit_req_zone'
const zonesKey = new RegistryKey<RateZone>(KIND)
const KEY_MAX = 65535

/** Of clients' own requests: they and what they lead to are limited once. */
const statuses = new Slot<string>()

export const limitRequests = httpModule({
  name: 'limit-req',
  directives,
  variables: { limit_req_status: { get: r => statuses.get(mainOf(r)) } },
  setup(conf, http) {
    const zones = http.registry(zonesKey)
    for (const declared of conf.limit_req_zone) addZone(zones, new RateZone(declared, http), KIND, declared, http)
    for (const limit of conf.limit_req) zoneOf(limit, http)
  },
  compile(conf, at, http) {
    if (conf.limit_req.length === 0) return
    const level = conf.limit_req_log_level
    at.step('preaccess', limit, {
      limits: conf.limit_req.map(limit => ({
        zone: zoneOf(limit, http),
        burst: limit.burst,
        delay: limit.delay,
      })),
      level,
      delayLevel: level === INFO ? INFO : level + 1,
      status: conf.limit_req_status,
      dryRun: conf.limit_req_dry_run,
    } satisfies Limits)
  },
})

function zoneOf({ zone, site }: LimitDeclaration, http: HttpSetup): RateZone {
  return http.registry(zonesKey).get(zone) ?? site.fail(`zero size shared memory zone "${zone}"`)
}

interface Limit {
  readonly zone: RateZone
  readonly burst: number
  readonly delay: number
}

interface Limits {
  readonly limits: readonly Limit[]
  readonly level: number
  readonly delayLevel: number
  readonly status: number
  readonly dryRun: boolean
}

// Of the request being decided upon; keys of its limits, '' for those that do not apply.
const keys: string[] = []

/** The last limit counts the request at once; the others first look, and count it when none has refused. */
function limit(r: HttpRequest, conf: Limits): number {
  if (statuses.get(mainOf(r)) !== null) return NEXT
  const { limits } = conf
  const now = Date.now()
  const last = limits.length - 1
  let applies = false
  let counted = -1
  for (let i = 0; i <= last; i++) {
    const { zone, burst } = limits[i]!
    const key = keyOf(r, zone)
    keys[i] = key
    if (key === '') continue
    applies = true
    const outcome = check(zone.table!, key, zone.rate, burst, now, i === last)
    if (outcome === ABOVE || outcome === NO_ROOM) return reject(r, conf, i, outcome)
    if (i === last) counted = i
  }
  return applies ? pass(r, conf, counted, now) : NEXT
}

function keyOf(r: HttpRequest, zone: RateZone): string {
  const key = zone.key.get(r)
  if (key.length <= KEY_MAX) return key
  r.log(ERR, `the value of the "${zone.keyText}" key is more than 65535 bytes: "${key}"`)
  return ''
}

function reject(r: HttpRequest, conf: Limits, at: number, outcome: number): number {
  const { zone } = conf.limits[at]!
  if (outcome === ABOVE) {
    const dry = conf.dryRun ? ', dry run' : ''
    r.log(conf.level, `limiting requests${dry}, excess: ${thousandths(excess)} by zone "${zone.name}"`)
  } else r.log(ALERT, `could not allocate node in limit_req zone "${zone.name}"`)
  for (let i = 0; i < at; i++) if (keys[i] !== '') release(conf.limits[i]!.zone.table!, keys[i]!)
  statuses.set(mainOf(r), conf.dryRun ? 'REJECTED_DRY_RUN' : 'REJECTED')
  return conf.dryRun ? NEXT : conf.status
}

/** @param counted the limit that check() has counted the request in already, -1 for none */
function pass(r: HttpRequest, conf: Limits, counted: number, now: number): number {
  const { limits } = conf
  let delay = 0
  let worst = 0
  let worstZone: RateZone | null = null
  for (let i = limits.length - 1; i >= 0; i--) {
    if (keys[i] === '') continue
    const { zone } = limits[i]!
    const above = i === counted ? excess : account(zone.table!, keys[i]!, zone.rate, now)
    const wanted = above <= limits[i]!.delay ? 0 : Math.trunc(((above - limits[i]!.delay) * 1000) / zone.rate)
    if (wanted <= delay) continue
    delay = wanted
    worst = above
    worstZone = zone
  }
  if (worstZone === null) {
    statuses.set(mainOf(r), 'PASSED')
    return NEXT
  }
  const dry = conf.dryRun ? ', dry run' : ''
  r.log(conf.delayLevel, `delaying request${dry}, excess: ${thousandths(worst)}, by zone "${worstZone.name}"`)
  statuses.set(mainOf(r), conf.dryRun ? 'DELAYED_DRY_RUN' : 'DELAYED')
  if (conf.dryRun) return NEXT
  // Finer than the timer wheel: at thousands of requests a second the delay is a millisecond.
  const timer = setTimeout(goOn, Math.min(delay, LONGEST_DELAY), r)
  // It may be days, and the client gone in a moment.
  r.onEnd(() => clearTimeout(timer))
  return WAIT
}

function goOn(r: HttpRequest): void {
  resume(r, NEXT)
}

/** 1234 as `1.234`. */
function thousandths(count: number): string {
  return `${Math.trunc(count / 1000)}.${String(count % 1000).padStart(3, '0')}`
}
