// A health check of a server that speaks FastCGI, uwsgi, SCGI or memcached's protocol: one question as a request of the
// location would put it, on a connection of its own.

import { parseCgiHead } from '../../codec/cgi-head.ts'
import * as records from '../../codec/fastcgi.ts'
import type { HeadLimits } from '../../codec/h1/head.ts'
import { NOT_HTTP, parseResponseHead, ResponseHead } from '../../codec/h1/response-head.ts'
import { escapeKey, parseLine } from '../../codec/memcached.ts'
import type { GatewayQuestion } from './gateway-check.ts'
import { BODY_MAX } from './health-match.ts'
import { LIMITS } from './health-probe.ts'
import type { ProbeSettings } from './health-probe.ts'
import type { Passed } from './passed.ts'
import { SingleProbe } from './single-probe.ts'

const EMPTY = Buffer.alloc(0)

export class GatewayHealthProbe extends SingleProbe {
  private readonly question: GatewayQuestion
  protected readonly request: string
  private input: Buffer = EMPTY
  private head = new ResponseHead()
  private records = new records.RecordReader()
  /** There is no status line. */
  private plain = false
  private inBody = false
  private body = ''
  /** Bytes of body still to come; -1: until the end. */
  private left = -1

  constructor(settings: ProbeSettings, question: GatewayQuestion, passed: Passed) {
    super(settings, passed)
    this.question = question
    this.request = question.request(settings.uri)
  }

  protected begin(): void {
    this.input = EMPTY
    this.head = new ResponseHead()
    this.records = new records.RecordReader()
    this.plain = false
    this.inBody = false
    this.body = ''
    this.left = -1
  }

  private complete(status: number): void {
    const { body, inBody } = this
    const { names, values } = inBody ? this.head : { names: [], values: [] }
    this.answer(this.settings.match.problemOf({ status, names, values, body }))
  }

  // ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────

  onData(chunk: Buffer): void {
    const { answers } = this.question
    if (answers === 'memcached') this.readMemcached(chunk)
    else if (answers === 'fastcgi') this.readRecords(chunk)
    else this.readCgi(chunk)
  }

  override onEnd(): void {
    if (this.done === null) return
    if (this.inBody && this.left < 0 && this.question.answers === 'cgi') this.complete(this.head.code)
    else super.onEnd()
  }

  // ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A CGI head, or HTTP's own with its status line, and the body. */
  private readCgi(chunk: Buffer): void {
    if (this.inBody) {
      this.takeBody(chunk)
      return
    }
    this.input = Buffer.concat([this.input, chunk])
    const taken = this.parse(this.input, LIMITS)
    if (taken === 0) return
    const { head } = this
    if (taken < 0) this.answer(head.error)
    else if (head.code < 200) this.answer(`unexpected status ${head.code}`)
    else {
      this.inBody = true
      this.left = head.code === 204 || head.code === 304 ? 0 : head.contentLength
      if (this.left === 0 || !this.settings.match.readsBody) this.complete(head.code)
      else this.takeBody(this.input.subarray(taken))
    }
  }

  private parse(bytes: Buffer, limits: HeadLimits): number {
    const { head } = this
    if (!this.plain && this.question.answers === 'cgi') {
      const taken = parseResponseHead(bytes, 0, bytes.length, limits, head)
      if (taken !== NOT_HTTP) return taken
      head.restart()
    }
    this.plain = true
    return parseCgiHead(bytes, 0, bytes.length, limits, head)
  }

  private takeBody(bytes: Buffer): void {
    const end = this.left < 0 ? bytes.length : Math.min(bytes.length, this.left)
    this.body += bytes.toString('latin1', 0, Math.min(end, BODY_MAX - this.body.length))
    if (this.left >= 0) this.left -= end
    // No check wants to see more.
    if (this.left === 0 || this.body.length >= BODY_MAX) this.complete(this.head.code)
  }

  /** The same within records, which say where it ends. */
  private readRecords(chunk: Buffer): void {
    const reader = this.records
    reader.pos = 0
    while (this.done !== null) {
      const found = reader.next(chunk, chunk.length)
      if (found === records.NEED) return
      if (found === records.BAD) this.answer(reader.error)
      else if (found === records.CONTENT && reader.type === records.STDOUT) {
        this.readCgi(chunk.subarray(reader.from, reader.to))
      } else if (found === records.CLOSED && reader.type === records.END_REQUEST) {
        if (this.inBody && this.left < 0) this.complete(this.head.code)
        else this.answer('upstream prematurely closed FastCGI request')
      }
    }
  }

  private readMemcached(chunk: Buffer): void {
    this.input = Buffer.concat([this.input, chunk])
    const { input } = this
    const end = input.indexOf('\r\n')
    if (end < 0) {
      if (input.length > LIMITS.lineMax) this.answer('memcached sent too long line')
      return
    }
    const line = input.toString('latin1', 0, end)
    const { uri } = this.settings
    if (uri === '') {
      this.body = line
      if (line.startsWith('VERSION ')) this.complete(200)
      else this.answer(`memcached sent invalid response: "${line}"`)
      return
    }
    const value = parseLine(line, escapeKey(uri), false)
    if (typeof value === 'string') this.answer(value)
    else if (value === null) this.complete(404)
    else if (!this.settings.match.readsBody || input.length >= end + 2 + Math.min(value.length, BODY_MAX)) {
      this.body = input.toString('latin1', end + 2, end + 2 + Math.min(value.length, BODY_MAX))
      this.complete(200)
    }
  }
}
