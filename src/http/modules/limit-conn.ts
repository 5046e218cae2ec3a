// limit_conn: how many requests with the same key may be under way at once (ngx_http_limit_conn_module), or connections of the
// stream block (ngx_stream_limit_conn_module).

import {
  HTTP,
  LOCATION,
  SERVER,
  STREAM,
  STREAM_SERVER,
  type Conf,
  type Directive,
  type Site,
} from '../../config/directive.ts'
import { parseNumber } from '../../config/units.ts'
import { flag, list, number } from '../../config/values.ts'
import { ERR } from '../../log/error-log.ts'
import type { KeyTable } from '../../zone/key-table.ts'
import { addZone, limitLogLevel, LimitZone, parseZone } from '../access/limit-zones.ts'
import { httpModule, NEXT, Slot } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { RegistryKey, type HttpSetup } from '../setup.ts'
import { mainOf } from '../subrequest.ts'

const inHttp = HTTP | SERVER | LOCATION
const everywhere = inHttp | STREAM | STREAM_SERVER

interface LimitDeclaration {
  readonly zone: string
  readonly max: number
  readonly site: Site
}

const limitConn: Directive<readonly LimitDeclaration[]> = {
  in: everywhere,
  args: [2, 2],
  default: [],
  repeatable: true,
  parse([zone, count], at, soFar = []) {
    if (soFar.some(other => other.zone === zone)) at.fail('"limit_conn" directive is duplicate')
    const max = parseNumber(count!)
    if (max === null || max === 0) return at.fail(`invalid number of connections "${count}"`)
    if (max > 65535) return at.fail('connection limit must be less 65536')
    return [...soFar, { zone: zone!, max, site: at }]
  },
}

const directives = {
  limit_conn_zone: list(HTTP | STREAM, [2, 2], (args, at) => parseZone(args, at, () => false)),
  limit_conn: limitConn,
  limit_conn_log_level: limitLogLevel(everywhere),
  limit_conn_status: number(inHttp, 503, 400, 599),
  limit_conn_dry_run: flag(everywhere, false),
}

const KIND = 'limit_conn_zone'
const zonesKey = new RegistryKey<LimitZone>(KIND)
const KEY_MAX = 255

/** Of clients' own requests: they and what they lead to are limited once. */
const statuses = new Slot<string>()

export const limitConnections = httpModule({
  name: 'limit-conn',
  directives,
  variables: { limit_conn_status: { get: r => statuses.get(mainOf(r)) } },
  setup(conf, http) {
    const zones = http.registry(zonesKey)
    for (const declared of conf.limit_conn_zone) addZone(zones, new LimitZone(declared, http), KIND, declared, http)
    limitsOf(conf, http)
  },
  inStream: true,
  connection(conf, at, stream) {
    if (conf.limit_conn.length > 0) at.access(limit, limitsOf(conf, stream))
  },
  compile(conf, at, http) {
    if (conf.limit_conn.length > 0) at.step('preaccess', limit, limitsOf(conf, http))
  },
})

interface Limits {
  readonly limits: readonly { readonly zone: LimitZone; readonly max: number }[]
  readonly level: number
  readonly status: number
  readonly dryRun: boolean
}

function limitsOf(conf: Conf<typeof directives>, http: HttpSetup): Limits {
  const zones = http.registry(zonesKey)
  return {
    limits: conf.limit_conn.map(({ zone, max, site }) => ({
      zone: zones.get(zone) ?? site.fail(`zero size shared memory zone "${zone}"`),
      max,
    })),
    level: conf.limit_conn_log_level,
    status: conf.limit_conn_status,
    dryRun: conf.limit_conn_dry_run,
  }
}

/** What a request is counted in, from its first limit to its end. */
class Counted {
  readonly tables: KeyTable[] = []
  readonly keys: string[] = []

  release(): void {
    for (let i = 0; i < this.tables.length; i++) leave(this.tables[i]!, this.keys[i]!)
    this.tables.length = 0
  }
}

function limit(r: HttpRequest, conf: Limits): number {
  if (statuses.get(mainOf(r)) !== null) return NEXT
  let counted: Counted | null = null
  for (const { zone, max } of conf.limits) {
    const key = zone.key.get(r)
    if (key === '') continue
    if (key.length > KEY_MAX) {
      r.log(ERR, `the value of the "${zone.keyText}" key is more than 255 bytes: "${key}"`)
      continue
    }
    statuses.set(mainOf(r), 'PASSED')
    const entered = enter(zone.table!, key, max)
    if (entered !== ENTERED) return reject(r, conf, zone, entered, counted)
    if (counted === null) {
      const own = (counted = new Counted())
      const main = mainOf(r)
      // One in the background may outlive it.
      ;(main.done ? r : main).onEnd(() => own.release())
    }
    counted.tables.push(zone.table!)
    counted.keys.push(key)
  }
  return NEXT
}

function reject(r: HttpRequest, conf: Limits, zone: LimitZone, why: number, counted: Counted | null): number {
  if (why === TOO_MANY) {
    r.log(conf.level, `limiting connections${conf.dryRun ? ', dry run,' : ''} by zone "${zone.name}"`)
  }
  counted?.release()
  statuses.set(mainOf(r), conf.dryRun ? 'REJECTED_DRY_RUN' : 'REJECTED')
  return conf.dryRun ? NEXT : conf.status
}

const ENTERED = 0
const TOO_MANY = 1
const NO_ROOM = 2

function enter(table: KeyTable, key: string, max: number): number {
  table.lock()
  const entry = table.find(key) || table.add()
  const { values } = table
  const at = table.valuesAt(entry)
  let outcome = ENTERED
  if (entry === 0) outcome = NO_ROOM
  else if (values[at]! >= max) outcome = TOO_MANY
  else values[at]!++
  table.unlock()
  return outcome
}

function leave(table: KeyTable, key: string): void {
  table.lock()
  const entry = table.find(key)
  if (entry !== 0) {
    const { values } = table
    const at = table.valuesAt(entry)
    values[at]!--
    if (values[at]! <= 0) table.remove(entry)
  }
  table.unlock()
}
