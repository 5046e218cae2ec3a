// fastcgi_pass: requests are asked of a FastCGI responder such as PHP-FPM (ngx_http_fastcgi_module). Its answer comes in
// records: stdout is a CGI response, stderr goes to the error log.

import { parseCgiHead } from '../../codec/cgi-head.ts'
import * as records from '../../codec/fastcgi.ts'
import { latin1 } from '../../codec/h1/fields.ts'
import { ResponseHead } from '../../codec/h1/response-head.ts'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { flag, list, one, str } from '../../config/values.ts'
import { ERR, WARN } from '../../log/error-log.ts'
import { warnOfMissingKey } from '../cache/settings.ts'
import { httpModule, LocationSlot } from '../module.ts'
import type { Variable } from '../module.ts'
import { regex, type Pattern } from '../regex.ts'
import type { HttpRequest } from '../request.ts'
import { takeCgiHead } from '../upstream/cgi.ts'
import type { Exchange } from '../upstream/exchange.ts'
import { tellGateway } from '../upstream/gateway-check.ts'
import { ACCEL_FIELDS, askGateway, compileGateway, gatewayExplained, passDirective } from '../upstream/gateway.ts'
import type { Gateway, GatewayConf } from '../upstream/gateway.ts'
import { paramDirective } from '../upstream/params.ts'
import type { UpstreamProtocol } from '../upstream/protocol.ts'
import { passFields } from '../upstream/response-fields.ts'
import { lowat, upstreamDirectives } from '../upstream/settings.ts'

const anywhere = HTTP | SERVER | LOCATION

const directives = {
  ...upstreamDirectives('fastcgi'),
  fastcgi_pass: passDirective(),
  fastcgi_param: paramDirective(),
  fastcgi_index: str(anywhere, ''),
  fastcgi_split_path_info: {
    ...one<Pattern | null>(anywhere, null, (word, at) => {
      const pattern = regex(word, false, at)
      return pattern.captures === 2 ? pattern : at.fail(`pattern "${word}" must have 2 captures`)
    }),
    repeatable: true,
  },
  fastcgi_keep_conn: flag(anywhere, false),
  fastcgi_catch_stderr: list(anywhere, [1, 1], ([text]) => text!),
  fastcgi_send_lowat: lowat,
}

const gateway: Gateway = {
  prefix: 'fastcgi',
  scheme: '',
  encode: records.encodePair,
  hidden: ['status', ...ACCEL_FIELDS],
  anyLength: true,
}

interface FastcgiConf extends GatewayConf {
  readonly keepConn: boolean
  readonly catchStderr: readonly string[]
}

// ── the script's name and the path behind it ───────────────────────────────────────────────────────────────────────

interface Script {
  readonly index: string
  readonly split: Pattern | null
}

const script = new LocationSlot<Script>()

const variables: Readonly<Record<string, Variable>> = {
  fastcgi_script_name: { get: scriptName },
  fastcgi_path_info: { get: r => splitUri(r)?.[2] ?? '' },
}

/** The URI's halves, null where it is not split. */
function splitUri(r: HttpRequest): RegExpExecArray | null {
  return script.get(r)?.split?.exec(r.uri) ?? null
}

function scriptName(r: HttpRequest): string {
  const halves = splitUri(r)
  const name = halves === null ? r.uri : (halves[1] ?? '')
  return name.endsWith('/') ? name + (script.get(r)?.index ?? '') : name
}

export const fastcgi = httpModule({
  name: 'fastcgi',
  directives,
  variables,
  compile(conf, at, http) {
    warnOfMissingKey('fastcgi', at, http)
    if (conf.fastcgi_index !== '' || conf.fastcgi_split_path_info !== null) {
      at.keep(script, { index: conf.fastcgi_index, split: conf.fastcgi_split_path_info })
    }
    if (at.kind !== 'location' || conf.fastcgi_pass === null) return
    const { fastcgi_pass: pass, fastcgi_param: params, fastcgi_index: index } = conf
    const location = compileGateway(gateway, pass, params, conf, at, http)
    tellGateway(at, location, { pass, params, answers: 'fastcgi', index, wrap: bodyless })
    at.content(
      fastcgiPass,
      {
        ...location,
        keepConn: conf.fastcgi_keep_conn,
        catchStderr: conf.fastcgi_catch_stderr,
      },
      gatewayExplained,
    )
  },
})

function fastcgiPass(r: HttpRequest, conf: FastcgiConf): number {
  return askGateway(r, protocol, conf)
}

// ── the request ────────────────────────────────────────────────────────────────────────────────────────────────────

function requestHead(x: Exchange): string {
  const { keepConn, params, settings } = x.conf as FastcgiConf
  const pairs = params.text(x.r, settings.passRequestHeaders)
  const head = records.beginRequest(keepConn) + records.paramsRecords(pairs)
  return x.sendsBody ? head : head + records.endOf(records.STDIN)
}

/** Of encoded parameters, on a connection that the responder closes. */
function bodyless(pairs: string): string {
  return records.beginRequest(false) + records.paramsRecords(pairs) + records.endOf(records.STDIN)
}

// ── the response ───────────────────────────────────────────────────────────────────────────────────────────────────

/** A connection's parsers. */
class FastcgiReader {
  readonly records = new records.RecordReader()
  readonly head = new ResponseHead()
  /** The head, as far as records before the present one have brought it. */
  begun: Buffer | null = null
}

const protocol: UpstreamProtocol = {
  scheme: 'fastcgi://',
  requestHead,
  pieceMax: 32768,
  beforePiece: (_x, length) => records.recordHead(records.STDIN, length),
  afterPiece: () => '',
  bodyEnd: () => records.endOf(records.STDIN),

  beginResponse(x: Exchange): void {
    if (x.reader === null) x.reader = new FastcgiReader()
    const reader = x.reader as FastcgiReader
    reader.head.restart()
    reader.begun = null
  },

  readHead(x: Exchange, bytes: Buffer, start: number, end: number): number {
    const reader = x.reader as FastcgiReader
    reader.records.pos = start
    for (;;) {
      const found = reader.records.next(bytes, end)
      if (found === records.NEED) return end - start
      const answer = headStep(x, reader, found, bytes)
      if (answer < 0) return -1
      if (answer > 0) return reader.records.pos - start
    }
  },

  /** The request's end is waited for, not only the stream's: a responder would find its connection closed under it. */
  beginBody(x: Exchange): void {
    x.bodyLeft = x.method === 'HEAD' || x.status === 204 || x.status === 304 ? 0 : x.contentLength
  },

  readBody(x: Exchange, bytes: Buffer, start: number, end: number): number {
    const reader = (x.reader as FastcgiReader).records
    reader.pos = start
    for (;;) {
      const found = reader.next(bytes, end)
      if (found === records.NEED) return end
      if (!bodyStep(x, reader, found, bytes)) return x.problem === '' ? end : -1
      if (x.bodyDone) {
        // What stands behind the request's end is nobody's, and its sender is not to be trusted with another one.
        x.reusable &&= reader.pos === end
        return end
      }
    }
  },

  endsAtClose(x: Exchange): boolean {
    return !(x.conf as FastcgiConf).keepConn && x.bodyLeft <= 0
  },

  passHead(x: Exchange): void {
    passFields(x, (x.reader as FastcgiReader).head, (x.conf as FastcgiConf).fieldActions)
  },
}

/** Below 0: refused; above: the head is complete. */
function headStep(x: Exchange, reader: FastcgiReader, found: number, bytes: Buffer): number {
  const { type, left, from, to, error } = reader.records
  if (found === records.BAD) return refuse(x, error)
  if (found === records.OPENED) {
    if (type === records.END_REQUEST) return refuse(x, `upstream sent unexpected FastCGI record: ${type}`)
    if (type === records.STDOUT && left === 0) return refuse(x, 'upstream prematurely closed FastCGI stdout')
  }
  if (found !== records.CONTENT) return 0
  if (type === records.STDOUT) return readCgi(x, reader, bytes)
  const text = logStderr(x, bytes, from, to)
  const caught = (x.conf as FastcgiConf).catchStderr.some(part => text.includes(part))
  return caught ? refuse(x, '') : 0
}

function refuse(x: Exchange, problem: string): number {
  x.problem = problem
  return -1
}

/** A piece of stdout, while the head is not complete. */
function readCgi(x: Exchange, reader: FastcgiReader, bytes: Buffer): number {
  const { begun, head } = reader
  const { from, to } = reader.records
  const before = begun === null ? 0 : begun.length
  const text = begun === null ? bytes : Buffer.concat([begun, bytes.subarray(from, to)])
  const start = begun === null ? from : 0
  const end = begun === null ? to : text.length
  const taken = parseCgiHead(text, start, end, x.settings.headLimits, head)
  if (taken < 0) return refuse(x, head.error)
  if (taken === 0) {
    reader.begun = begun === null ? Buffer.from(bytes.subarray(from, to)) : text
    return 0
  }
  reader.begun = null
  reader.records.giveBack(from + taken - before)
  return takeCgiHead(x, head, false) ? 1 : -1
}

/** False: this was the end, or `x.problem` is set. */
function bodyStep(x: Exchange, reader: records.RecordReader, found: number, bytes: Buffer): boolean {
  const { type, left } = reader
  x.problem = found === records.BAD ? reader.error : ''
  if (found === records.BAD) return false
  if (found === records.CONTENT) {
    if (type === records.STDERR) logStderr(x, bytes, reader.from, reader.to)
    return type !== records.STDOUT || takeStdout(x, reader.from, reader.to)
  }
  const ended = found === records.CLOSED && type === records.END_REQUEST
  if (!ended && !(found === records.OPENED && type === records.STDOUT && left === 0)) return true
  // Unbuffered, nginx looks no sooner than at the request's end.
  if (x.bodyLeft > 0 && (ended || x.buffering)) {
    x.problem = `upstream prematurely closed FastCGI ${ended ? 'request' : 'stdout'}`
    return false
  }
  x.bodyDone = ended
  x.reusable = ended && (x.conf as FastcgiConf).keepConn
  return true
}

function takeStdout(x: Exchange, from: number, to: number): boolean {
  if (x.bodyLeft < 0) {
    x.deliver(from, to)
    return true
  }
  const stop = Math.min(to, from + x.bodyLeft)
  if (stop > from) x.deliver(from, stop)
  x.bodyLeft -= stop - from
  if (stop === to) return true
  x.log(WARN, `upstream sent more data than specified in "Content-Length" header while ${x.action()}`)
  x.bodyDone = true
  return false
}

function logStderr(x: Exchange, bytes: Buffer, from: number, to: number): string {
  let end = to
  while (end > from + 1 && '\r\n. '.includes(String.fromCharCode(bytes[end - 1]!))) end--
  const text = latin1(bytes, from, end)
  x.log(ERR, `FastCGI sent in stderr: "${text}" while ${x.action()}`, true)
  return text
}
