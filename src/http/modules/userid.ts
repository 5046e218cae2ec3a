// userid: a cookie that tells one browser from another (ngx_http_userid_filter_module).
//
// The identifier is four 32-bit words: the service (or server's address), the time, the process, and a sequence number.
// They are kept as 16 bytes; log and variables print them as the words of a little-endian machine, as nginx does there.

import { randomBytes } from 'node:crypto'
import { HTTP, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { parseSeconds } from '../../config/units.ts'
import { bitmask, number, one, oneOf } from '../../config/values.ts'
import { addressBytes } from '../../lib/networks.ts'
import { formatHttpDate } from '../../lib/http-date.ts'
import { ERR, NOTICE } from '../../log/error-log.ts'
import { httpModule, LocationSlot, Slot } from '../module.ts'
import type { BodyStage } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { mainOf } from '../subrequest.ts'

const everywhere = HTTP | SERVER | LOCATION

const FLAGS: Readonly<Record<string, number>> = {
  off: 1,
  secure: 2,
  httponly: 4,
  'samesite=strict': 8,
  'samesite=lax': 16,
  'samesite=none': 32,
}

/** What is said after `; `, or nothing for the word that takes it away. */
function attribute(name: string, fallback: string): Directive<string> {
  return one(everywhere, fallback, word => `; ${name}=${word}`)
}

const MAX = -1

const directives = {
  userid: oneOf(everywhere, ['off', 'log', 'v1', 'on'], 'off'),
  userid_service: number(everywhere, null),
  userid_name: one(everywhere, 'uid', word => word),
  userid_domain: one(everywhere, '', word => (word === 'none' ? '' : `; domain=${word}`)),
  userid_path: attribute('path', '; path=/'),
  /** Seconds, 0 for none, MAX for as long as can be. */
  userid_expires: one(everywhere, 0, (word, at) => {
    if (word === 'max') return MAX
    return word === 'off' ? 0 : (parseSeconds(word) ?? at.fail('"userid_expires" directive invalid value'))
  }),
  userid_flags: { ...bitmask(everywhere, FLAGS, 0), args: [1, 3] } satisfies Directive<number>,
  userid_p3p: one(everywhere, '', word => (word === 'none' ? '' : word)),
  userid_mark: one(everywhere, '', (word, at) => {
    if (word === 'off') return ''
    if (/^[0-9A-Za-z=]$/.test(word)) return word
    return at.fail('"userid_mark" directive value must be "off" or a single letter, digit or "="')
  }),
}

interface UserIdConf {
  readonly kind: 'log' | 'v1' | 'on'
  readonly service: number | null
  readonly name: string
  readonly mark: string
  readonly expires: number
  /** Domain, path and flags, ready. */
  readonly attributes: string
  readonly p3p: string
  readonly reset: (r: HttpRequest) => string | null
}

/** What a request brought and what it is given; null for none. */
interface UserId {
  readonly got: Buffer | null
  readonly cookie: string
  set: Buffer | null
  isReset: boolean
}

const confs = new LocationSlot<UserIdConf>()
const ids = new Slot<UserId>()
const resets = new Slot<string>()

export const userid = httpModule({
  name: 'userid',
  directives,
  variables: {
    uid_got: { get: gotText },
    uid_set: { get: setText },
    uid_reset: { get: r => resets.get(r) ?? '', set: (r, value) => resets.set(r, value) },
  },
  compile(conf, at, http) {
    if (conf.userid === 'off') return
    const { userid_flags: flags } = conf
    const words = flags & FLAGS['off']! ? [] : Object.keys(FLAGS).filter(word => flags & FLAGS[word]!)
    const own: UserIdConf = {
      kind: conf.userid,
      service: conf.userid_service,
      name: conf.userid_name,
      mark: conf.userid_mark,
      expires: conf.userid_expires,
      attributes: conf.userid_domain + conf.userid_path + words.map(word => `; ${word}`).join(''),
      p3p: conf.userid_p3p,
      reset: http.variable('uid_reset', at.site('userid') ?? { file: '', line: 0, order: 0 }).get,
    }
    at.keep(confs, own)
    if (own.kind !== 'log') at.filter(setCookie, own)
  },
})

/** Parts of a page know what the client's own request knows. */
function gotText(r: HttpRequest): string | null {
  const main = mainOf(r)
  const conf = confs.get(main)
  if (conf === null) return null
  const { got } = userIdOf(main, conf)
  return got === null ? null : `${conf.name}=${hex(got)}`
}

function setText(r: HttpRequest): string | null {
  const main = mainOf(r)
  const conf = confs.get(main)
  if (conf === null || conf.kind === 'log') return null
  const id = userIdOf(main, conf)
  decide(main, id, conf)
  return id.set === null ? null : `${conf.name}=${hex(id.set)}`
}

/** Four words as a little-endian machine prints them. */
function hex(bytes: Buffer): string {
  let text = ''
  for (let i = 0; i < 16; i += 4) text += bytes.readUInt32LE(i).toString(16).toUpperCase().padStart(8, '0')
  return text
}

/** 16 bytes as base64: a mark may stand behind them, in place of the padding. */
const ENCODED = 22

function userIdOf(r: HttpRequest, conf: UserIdConf): UserId {
  const known = ids.get(r)
  if (known !== null) return known
  const cookie = cookieNamed(r, conf.name)
  const id: UserId = {
    got: cookie === null ? null : decode(r, cookie),
    cookie: cookie ?? '',
    set: null,
    isReset: false,
  }
  ids.set(r, id)
  return id
}

function decode(r: HttpRequest, cookie: string): Buffer | null {
  if (cookie.length < ENCODED) {
    r.log(ERR, `client sent too short userid cookie "${r.header('cookie')}"`)
    return null
  }
  const text = cookie.slice(0, ENCODED)
  if (!/^[A-Za-z0-9+/]*$/.test(text)) {
    r.log(ERR, `client sent invalid userid cookie "${r.header('cookie')}"`)
    return null
  }
  const bytes = Buffer.from(text, 'base64')
  // The last word is never 0 in an identifier.
  return bytes.readUInt32LE(12) === 0 ? null : bytes
}

function cookieNamed(r: HttpRequest, name: string): string | null {
  const { names, values, count } = r.head
  const wanted = name.toLowerCase()
  for (let i = 0; i < count; i++) {
    if (names[i] !== 'cookie') continue
    for (const pair of values[i]!.split(/[;,]/)) {
      const equals = pair.indexOf('=')
      if (equals >= 0 && pair.slice(0, equals).trim().toLowerCase() === wanted) return pair.slice(equals + 1).trim()
    }
  }
  return null
}

/** The identifier to be sent: none where the browser has a good one, the same again to renew its mark, or a new one. */
function decide(r: HttpRequest, id: UserId, conf: UserIdConf): void {
  if (id.set !== null) return
  if (id.got !== null) {
    const reset = conf.reset(r) ?? ''
    if (reset === '' || reset === '0') {
      const marked = conf.mark === '' || (id.cookie[ENCODED] === conf.mark && id.cookie[ENCODED + 1] === '=')
      if (!marked) id.set = id.got
      return
    }
    id.isReset = true
    if (reset === 'log') r.log(NOTICE, `userid cookie "${conf.name}=${hex(id.got)}" was reset`)
  }
  id.set = conf.kind === 'v1' ? nextV1(conf.service) : nextV2(r, conf.service)
}

/** Tells threads and their predecessors apart. */
const start = ((randomBytes(2).readUInt16BE() << 16) | (process.pid & 0xffff)) >>> 0
const SEQUENCE_V2 = 0x03030302
let sequenceV1 = 1
let sequenceV2 = SEQUENCE_V2

/** Words in the machine's order. */
function nextV1(service: number | null): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE((service ?? 0) >>> 0, 0)
  bytes.writeUInt32LE(Math.floor(Date.now() / 1000) >>> 0, 4)
  bytes.writeUInt32LE(start, 8)
  bytes.writeUInt32LE(sequenceV1, 12)
  sequenceV1 = (sequenceV1 + 0x100) >>> 0
  return bytes
}

/** Words in the network's order, so that the same identifier is read everywhere. */
function nextV2(r: HttpRequest, service: number | null): Buffer {
  const bytes = Buffer.alloc(16)
  if (service === null) bytes.write(addressBytes(r.stream.localAddress).slice(-4), 0, 'latin1')
  else bytes.writeUInt32BE(service >>> 0, 0)
  bytes.writeUInt32BE(Math.floor(Date.now() / 1000) >>> 0, 4)
  bytes.writeUInt32BE(start, 8)
  bytes.writeUInt32BE(sequenceV2, 12)
  sequenceV2 = (sequenceV2 + 0x100) >>> 0
  if (sequenceV2 < SEQUENCE_V2) sequenceV2 = SEQUENCE_V2
  return bytes
}

function setCookie(r: HttpRequest, conf: UserIdConf): BodyStage | null {
  if (r.parent !== null) return null
  const id = userIdOf(r, conf)
  decide(r, id, conf)
  if (id.set === null) return null
  r.addHeader('Set-Cookie', `${conf.name}=${encoded(id, conf.mark)}${expires(conf.expires)}${conf.attributes}`)
  if (conf.p3p !== '') r.addHeader('P3P', conf.p3p)
  return null
}

function encoded(id: UserId, mark: string): string {
  const text = id.set!.toString('base64')
  if (id.got !== null && !id.isReset) return `${id.cookie.slice(0, ENCODED)}${mark}=`
  return mark === '' ? text : `${text.slice(0, ENCODED)}${mark}=`
}

function expires(seconds: number): string {
  if (seconds === 0) return ''
  if (seconds === MAX) return '; expires=Thu, 31-Dec-37 23:55:55 GMT'
  // Netscape's form of a date, with hyphens; two digits are enough for a year that is near.
  const date = formatHttpDate(Math.floor(Date.now() / 1000) + seconds)
  return `; expires=${date.replace(
    /^(\w+, \d\d) (\w+) (\d\d)(\d\d)/,
    (_all, day, month, century, year) =>
      `${day}-${month}-${Number(century) * 100 + Number(year) > 2037 ? century : ''}${year}`,
  )}`
}
