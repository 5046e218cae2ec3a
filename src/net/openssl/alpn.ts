// Which protocol is spoken inside (RFC 7301): the server's choice among what the client offers.

import { setUint64, setUint8 } from 'node:ffi'
import { SSL_TLSEXT_ERR_ALERT_FATAL, SSL_TLSEXT_ERR_OK } from './constants.ts'
import type { TlsContext } from './context.ts'
import { callback, openssl, returns } from './library.ts'
import { bytesAt } from './memory.ts'

/** What each list of protocols is called when OpenSSL asks: its number. */
const lists: { readonly protocols: readonly string[]; readonly optional: boolean }[] = []
let asked = 0n
let http2 = false

/** May the connection that OpenSSL is called for next choose HTTP/2? */
export function offersHttp2(offered: boolean): void {
  http2 = offered
}

/**
 * A client that offers none of these is refused (RFC 7301, 3.2); one that offers nothing is not asked.
 * @param optional HTTP/2 is among them only where offersHttp2() says so
 */
export function chooseProtocol(context: TlsContext, protocols: readonly string[], optional = false): void {
  const signature = returns('i32', 'pointer', 'pointer', 'pointer', 'pointer', 'u32', 'pointer')
  if (asked === 0n) asked = callback(signature, choose, SSL_TLSEXT_ERR_ALERT_FATAL)
  let list = lists.findIndex(known => known.optional === optional && known.protocols.join() === protocols.join())
  if (list < 0) list = lists.push({ protocols, optional }) - 1
  openssl().SSL_CTX_set_alpn_select_cb(context.pointer, asked, BigInt(list))
}

function choose(_ssl: bigint, out: bigint, outLength: bigint, offer: bigint, size: number, list: bigint): number {
  const offered = bytesAt(offer, size)
  const { protocols, optional } = lists[Number(list)]!
  for (const protocol of protocols) {
    if (optional && protocol === 'h2' && !http2) continue
    for (let at = 0; at < size; at += 1 + offered[at]!) {
      const length = offered[at]!
      if (length !== protocol.length || offered.toString('latin1', at + 1, at + 1 + length) !== protocol) continue
      setUint64(out, 0, offer + BigInt(at + 1))
      setUint8(outLength, 0, length)
      return SSL_TLSEXT_ERR_OK
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL
}
