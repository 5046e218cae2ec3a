// app_pass to an application of kind node: its workers speak HTTP/1.1 on Unix sockets (docs/decisions/0005), so this is a
// proxy whose upstream is our own: nothing to configure, upgrades pass, and the client is named in X-Forwarded-*.

import { ERR } from '../log/error-log.ts'
import type { Application } from './application.ts'
import { Slot } from './module.ts'
import { respondSpecial, type Source } from './output.ts'
import { readRequestBody } from './request-body.ts'
import type { HttpRequest } from './request.ts'
import type { BufferLimits } from './response-buffer.ts'
import { Exchange } from './upstream/exchange.ts'
import { http1, type H1Reader } from './upstream/h1.ts'
import type { UpstreamProtocol } from './upstream/protocol.ts'
import { requestUri } from './upstream/request-uri.ts'
import { ERROR, type UpstreamSettings } from './upstream/settings.ts'

/** For one location. */
export interface NodePass {
  readonly app: Application
  readonly settings: UpstreamSettings
  /** Read by http1: a client may ask for another protocol. */
  readonly sendsUpgrade: true
}

const HEAD_MAX = 65536
const CONNECT_MS = 60_000
/** `timeout 0`: as good as for ever. */
const FOREVER_MS = 2 ** 31

export function nodePass(app: Application, buffering: boolean, bufferLimits: BufferLimits): NodePass {
  const timeout = app.settings.timeout === 0 ? FOREVER_MS : app.settings.timeout
  const settings: UpstreamSettings = {
    buffering,
    requestBuffering: true,
    ignoreClientAbort: false,
    socketKeepalive: false,
    connectTimeout: CONNECT_MS,
    sendTimeout: timeout,
    readTimeout: timeout,
    interceptErrors: false,
    passRequestHeaders: true,
    passRequestBody: true,
    nextUpstream: ERROR,
    nextUpstreamTries: 0,
    nextUpstreamTimeout: 0,
    ignoreHeaders: 0,
    headLimits: {
      lineMax: HEAD_MAX,
      fieldMax: HEAD_MAX,
      headMax: HEAD_MAX,
      fieldsMax: HEAD_MAX,
      underscores: true,
      ignoreInvalid: true,
    },
    bufferLimits,
    hidden: new Set(),
  }
  return { app, settings, sendsUpgrade: true }
}

const slot = new Slot<NodePass>()

export function passToNode(r: HttpRequest, pass: NodePass): number {
  slot.set(r, pass)
  return readRequestBody(r, bodyReady)
}

/** Before the first worker is there, the request waits for it. */
function bodyReady(r: HttpRequest): void {
  const { app } = slot.get(r)!
  if (app.hasWorkers || !app.mayCome) ask(r)
  else if (!app.awaitWorker(r, ask)) {
    r.log(ERR, `app "${app.name}": too many requests are waiting`)
    respondSpecial(r, 503)
  } else r.source = NOTHING
}

/** Nothing is being produced for a request that waits. */
const NOTHING: Source = { drain() {}, abort() {} }

function ask(r: HttpRequest): void {
  if (r.done) return
  const pass = slot.get(r)!
  const x = new Exchange(r, nodeHttp, pass.settings, pass, pass.app.group!)
  x.uri = requestUri(r, '', false, '')
  x.sendsBody = r.body !== null
  x.connect()
}

// ── what is said and heard ───────────────────────────────────────────────────────────────────────────────────────────

/** Fields that end at this hop, or that we write ourselves. */
const OWN = new Set(
  (
    'host connection keep-alive proxy-connection te trailer transfer-encoding content-length upgrade expect ' +
    'x-forwarded-for x-forwarded-proto'
  ).split(' '),
)

const nodeHttp: UpstreamProtocol = { ...http1, requestHead, passHead }

function requestHead(x: Exchange): string {
  const { r } = x
  const { head } = r
  const host = r.header('host') ?? (r.host === '' ? 'localhost' : r.host)
  let text = `${x.method} ${x.uri} HTTP/1.1\r\nHost: ${host}\r\n`
  let forwarded = r.clientAddress
  for (let i = 0; i < head.count; i++) {
    const name = head.names[i]!
    if (name === 'x-forwarded-for') forwarded = `${head.values[i]}, ${r.clientAddress}`
    else if (!OWN.has(name)) text += `${head.originalName(i)}: ${head.values[i]}\r\n`
  }
  text += `X-Forwarded-For: ${forwarded}\r\nX-Forwarded-Proto: ${r.stream.tls === null ? 'http' : 'https'}\r\n`
  if (r.body !== null) text += `Content-Length: ${r.body.length}\r\n`
  else if (head.contentLength === 0) text += 'Content-Length: 0\r\n'
  const upgrade = head.upgrade ? r.header('upgrade') : null
  text += upgrade === null ? 'Connection: keep-alive\r\n' : `Connection: upgrade\r\nUpgrade: ${upgrade}\r\n`
  return `${text}\r\n`
}

function passHead(x: Exchange): void {
  const { r } = x
  const { head } = x.reader as H1Reader
  const { names, values } = x
  // The parser's next head must not change what variables show of this one.
  head.names = []
  head.values = []
  r.status = x.status
  r.statusLine = x.statusText
  r.contentLength = x.chunked ? -1 : x.contentLength
  for (let i = 0; i < names.length; i++) passField(x, names[i]!, head.originalName(i), values[i]!)
}

function passField(x: Exchange, name: string, spelled: string, value: string): void {
  const { r } = x
  switch (name) {
    case 'content-length':
    case 'transfer-encoding':
    case 'connection':
    case 'keep-alive':
    case 'date':
      return
    case 'upgrade':
      if (x.status === 101) r.addHeader(spelled, value)
      return
    case 'content-type':
      r.contentType = value
      return
    case 'last-modified':
      r.lastModified = value
      return
    case 'etag':
      r.etag = value
      return
    case 'x-accel-buffering':
      if (value.toLowerCase() === 'no') x.buffering = false
      return
    default:
      r.addHeader(spelled, value)
  }
}
