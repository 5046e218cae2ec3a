// Who a client is, and which server its mail is on, is asked of an HTTP server (ngx_mail_auth_http_module). Everything is in the
// fields of the request and of its answer, whose status and body are not looked at.

import { MAIL, MAIL_SERVER, type Conf, type Directive, type Site } from '../config/directive.ts'
import { flag, list, time } from '../config/values.ts'
import { escapeUri } from '../codec/h1/uri.ts'
import { rfc2253Name } from '../http/ssl/distinguished-name.ts'
import { errorText } from '../lib/errno.ts'
import { isIP } from 'node:net'
import { ALERT, ERR } from '../log/error-log.ts'
import { parseUpstreamUrl } from '../upstream/address.ts'
import { connectionRefusal } from '../upstream/connection-limit.ts'
import { Peer } from '../upstream/peer.ts'
import { PeerConnection, type PeerUser } from '../upstream/peer-connection.ts'
import { resolveHost } from '../upstream/resolve.ts'
import type { MailSession } from './session.ts'

const anywhere = MAIL | MAIL_SERVER

interface Target {
  readonly peer: Peer
  readonly host: string
  readonly uri: string
}

/** `[http://]HOST[:PORT][/URI]` or `unix:PATH[:/URI]`. Of several addresses it is the first. */
const authHttp: Directive<Target | null> = {
  in: anywhere,
  args: [1, 1],
  default: null,
  // Of several the last counts.
  repeatable: true,
  parse: ([word], at) => targetOf(word!.replace(/^http:\/\//, ''), at),
}

function targetOf(text: string, at: Site): Target {
  const url = parseUpstreamUrl(text, 80, true)
  if (typeof url === 'string') return at.fail(`${url} in auth_http "${text}"`)
  const uri = url.uri === '' ? '/' : url.uri.startsWith('/') ? url.uri : `/${url.uri}`
  const host = url.unix ? 'localhost' : url.host
  const name = url.unix ? url.text : `${url.host}:${url.port}`
  if (url.address !== null) return { peer: new Peer(name, url.address), host, uri }
  const [address] = resolveHost(url.host) ?? []
  if (address === undefined) return at.fail(`host not found in auth_http "${text}"`)
  return { peer: new Peer(name, { host: address, port: url.port }), host, uri }
}

export const authHttpDirectives = {
  auth_http: authHttp,
  auth_http_header: list(anywhere, [2, 2], ([name, value]) => `${name}: ${value}\r\n`),
  auth_http_pass_client_cert: flag(anywhere, false),
  auth_http_timeout: time(anywhere, 60_000),
}

/** What one server's clients are asked about, and where. */
export interface AuthHttp extends Target {
  readonly fields: string
  readonly passesCertificate: boolean
  readonly timeout: number
}

/** null: nobody is named. */
export function compileAuthHttp(conf: Conf<typeof authHttpDirectives>): AuthHttp | null {
  if (conf.auth_http === null) return null
  return {
    ...conf.auth_http,
    fields: conf.auth_http_header.join(''),
    passesCertificate: conf.auth_http_pass_client_cert,
    timeout: conf.auth_http_timeout,
  }
}

/** The fields of an answer; nginx has room for 1,024 bytes. */
const ANSWER_MAX = 8192
/** How soon somebody may be asked again who has said WAIT, and not how long. */
const WAIT_MS = 1000

/** One question, and its answer. */
export class Authentication implements PeerUser {
  private readonly session: MailSession
  private readonly conf: AuthHttp
  private link: PeerConnection | null = null
  private answer = ''

  constructor(session: MailSession) {
    this.session = session
    this.conf = session.server.authHttp
  }

  start(): void {
    const refusal = connectionRefusal()
    if (refusal !== '') this.fail(ALERT, refusal)
    else {
      this.link = new PeerConnection(this.conf.peer, this)
      this.link.watch(this.conf.timeout)
    }
  }

  stop(): void {
    this.link?.close()
    this.link = null
  }

  onConnect(): void {
    const { session } = this
    this.link!.connection.writeText(requestOf(session, this.conf))
    // That was no password, and who is asked may tell one.
    if (session.method === 'apop' || session.method === 'cram-md5') session.password = null
  }

  onData(chunk: Buffer): void {
    this.answer += chunk.toString('latin1')
    const start = this.answer.startsWith('HTTP/') ? this.answer.indexOf('\n') + 1 : 0
    const head = /^(?:(?!\r?\n)[^\n]*\n)*(?=\r?\n)/.exec(this.answer.slice(start))
    if (/\r(?!\n|$)/.test(this.answer.slice(0, start))) this.fail(ERR, `${this.who} sent invalid response`)
    else if (head !== null && (start > 0 || !this.answer.startsWith('HTTP/'))) this.take(head[0])
    else if (this.answer.length >= ANSWER_MAX) this.fail(ERR, `${this.who} sent too long a header`)
  }

  onDrain(): void {}

  onEnd(): void {
    this.fail(ERR, `${this.who} prematurely closed connection`)
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error === null) this.onEnd()
    else this.fail(ERR, `${error.syscall ?? 'recv'}() failed (${errorText(error)}), ${this.who}`)
  }

  onTimeout(): void {
    this.fail(ERR, `${this.who} timed out (110: Connection timed out)`)
  }

  private get who(): string {
    return `auth http server ${this.conf.peer.name}`
  }

  private fail(level: number, problem: string): void {
    this.stop()
    this.session.log(level, problem)
    this.session.fail()
  }

  private take(head: string): void {
    this.stop()
    const fields = fieldsOf(head)
    if (fields === null) {
      this.fail(ERR, `${this.who} sent invalid header in response`)
      return
    }
    const { session } = this
    const field = (name: string): string => fields.get(name) ?? ''
    session.login = fields.get('auth-user') ?? session.login
    session.password = fields.get('auth-pass') ?? session.password
    const status = fields.get('auth-status') ?? 'OK'
    const waitMs = /^\d{1,6}$/.test(field('auth-wait')) ? Number(field('auth-wait')) * 1000 : 0
    if (status === 'WAIT') session.admission.askAgain(waitMs === 0 ? WAIT_MS : waitMs)
    else if (status !== 'OK') session.admission.refuse(status, field('auth-error-code'), waitMs)
    else this.pass(field('auth-server'), field('auth-port'))
  }

  private pass(address: string, port: string): void {
    const { session } = this
    const { protocol } = session.server
    if (address === '' || port === '') this.fail(ERR, `${this.who} did not send server or port`)
    else if (session.password === null && protocol.name !== 'smtp') this.fail(ERR, `${this.who} did not send password`)
    else if (isIP(address) === 0) this.fail(ERR, `${this.who} sent invalid server address:"${address}"`)
    else if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535) {
      this.fail(ERR, `${this.who} sent invalid server port:"${port}"`)
    } else session.connect(new Peer(`${address}:${port}`, { host: address, port: Number(port) }))
  }
}

/** Of whole lines. null: one of them is none. A line without a colon is a name without a value. */
export function fieldsOf(head: string): Map<string, string> | null {
  const fields = new Map<string, string>()
  for (const line of head.split('\n').slice(0, -1)) {
    const [, name, value = ''] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?::(.*?))?\r?$/.exec(line) ?? []
    if (name === undefined) return null
    fields.set(name.toLowerCase(), value.replace(/^ +| +$/g, ''))
  }
  return fields
}

function requestOf(session: MailSession, conf: AuthHttp): string {
  const { method, server, login, password, host, proxyProtocol, smtp, admission } = session
  const lines = [
    `GET ${conf.uri} HTTP/1.0`,
    `Host: ${conf.host}`,
    `Auth-Method: ${method}`,
    `Auth-User: ${escapeUri(login, 'memcached')}`,
    `Auth-Pass: ${escapeUri(password ?? '', 'memcached')}`,
  ]
  if (method === 'apop' || method === 'cram-md5') lines.push(`Auth-Salt: ${session.saltText()}`)
  lines.push(
    `Auth-Protocol: ${server.protocol.name}`,
    `Auth-Login-Attempt: ${admission.attempts}`,
    `Client-IP: ${session.clientAddress}`,
  )
  if (host !== '') lines.push(`Client-Host: ${host}`)
  if (proxyProtocol !== null) {
    lines.push(
      `Proxy-Protocol-Addr: ${proxyProtocol.source}`,
      `Proxy-Protocol-Port: ${proxyProtocol.sourcePort}`,
      `Proxy-Protocol-Server-Addr: ${proxyProtocol.destination}`,
      `Proxy-Protocol-Server-Port: ${proxyProtocol.destinationPort}`,
    )
  }
  if (method === 'none') {
    lines.push(`Auth-SMTP-Helo: ${smtp.helo}`, `Auth-SMTP-From: ${smtp.from}`, `Auth-SMTP-To: ${smtp.to}`)
  }
  return `${[...lines, ...tlsLines(session, conf)].join('\r\n')}\r\n${conf.fields}\r\n`
}

function tlsLines({ tls, server }: MailSession, conf: AuthHttp): string[] {
  const connection = tls?.connection ?? null
  if (tls === null || connection === null) return []
  const lines = ['Auth-SSL: on', `Auth-SSL-Protocol: ${connection.protocol}`, `Auth-SSL-Cipher: ${connection.cipher}`]
  if (server.tls.verify === 'off') return lines
  lines.push(`Auth-SSL-Verify: ${tls.verdict}`)
  const { certificate } = tls
  if (certificate === null) return lines
  lines.push(
    `Auth-SSL-Subject: ${rfc2253Name(certificate.subject)}`,
    `Auth-SSL-Issuer: ${rfc2253Name(certificate.issuer)}`,
    `Auth-SSL-Serial: ${certificate.serialNumber}`,
    `Auth-SSL-Fingerprint: ${certificate.fingerprint.replaceAll(':', '').toLowerCase()}`,
  )
  if (conf.passesCertificate)
    lines.push(`Auth-SSL-Cert: ${escapeUri(`${certificate.toString().trimEnd()}\n`, 'memcached')}`)
  return lines
}
