// The other side of an explained request: a client that is not there. It takes whatever response is made and keeps what
// is to be told of it; no byte goes anywhere.

import { parseRequestHead, RequestHead } from '../codec/h1/request-head.ts'
import type { ClientHello } from '../codec/tls-client-hello.ts'
import { BodyStage } from '../http/output.ts'
import type { ClientStream, HttpRequest } from '../http/request.ts'
import type { ListenRuntime, ServerRuntime } from '../http/runtime.ts'
import { ClientTls } from '../http/ssl/client-tls.ts'

/** The address the request is taken to come from. */
export const CLIENT_ADDRESS = '127.0.0.1'
export const CLIENT_PORT = 50_000

export class AbsentClient extends BodyStage implements ClientStream {
  readonly connectionNumber = 1
  readonly requests = 1
  readonly localAddress: string
  readonly serverAddress: string
  readonly localPort: number
  readonly connectedMs = Date.now()
  readonly pipelined = false
  readonly descriptor = -1
  readonly tls: ClientStream['tls']
  readonly proxyProtocol = null
  readonly writer: BodyStage = this
  /** A response has been made. */
  answered = false

  /** @param secured the server of a TLS handshake, null without one */
  constructor(localAddress: string, localPort: number, secured: ServerRuntime | null) {
    super()
    this.tls = secured === null ? null : new ClientTls(helloFor(secured.name), secured, null, secured)
    if (this.tls !== null) this.tls.connection = handshaken
    this.localAddress = localAddress
    this.serverAddress = localAddress
    this.localPort = localPort
  }

  /** It never takes more: what comes in pieces is not read to its end. */
  write(): boolean {
    this.answered = true
    return false
  }

  sendHead(): void {
    this.answered = true
  }

  sendText(): void {
    this.answered = true
  }

  sendInterim(): void {}

  upgrade(): never {
    throw new Error('an explained request has no connection')
  }

  finish(_r: HttpRequest): void {
    this.answered = true
  }

  abort(_r: HttpRequest): void {
    this.answered = true
  }

  readBody(): void {}
}

/** What its hello says: a name, and nothing of what it can do. */
function helloFor(serverName: string): ClientHello {
  return { ciphers: [], groups: [], signatureAlgorithms: [], offers: () => false, serverName } as unknown as ClientHello
}

/** A connection over which nobody has shown a certificate. */
const handshaken = {
  protocol: 'TLSv1.3',
  cipher: 'TLS_AES_256_GCM_SHA384',
  curve: 'X25519',
  alpnProtocol: '',
  sessionReused: false,
  sessionId: '',
  peerCertificate: null,
  verifyFault: null,
} as unknown as ClientTls['connection']

/** The head such a client would send, read as one that came. `head.status` is set where it would be refused. */
export function headOf(
  method: string,
  target: string,
  host: string,
  fields: readonly string[],
  listen: ListenRuntime,
): RequestHead {
  const hasHost = fields.some(field => /^host:/i.test(field))
  const lines = [`${method} ${target} HTTP/1.1`, ...(hasHost ? [] : [`Host: ${host}`]), ...fields, '\r\n']
  const bytes = Buffer.from(lines.join('\r\n'), 'latin1')
  const head = new RequestHead()
  const { limits, mergeSlashes } = listen.defaultServer
  head.servers = listen.limitsDiffer ? listen : null
  head.mergeSlashes = mergeSlashes
  parseRequestHead(bytes, 0, bytes.length, limits, head)
  return head
}
