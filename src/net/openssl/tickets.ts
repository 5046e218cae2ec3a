// Tickets: sessions that clients keep for us, sealed (RFC 5077). With one key OpenSSL does that alone; with several, the first
// seals and all of them open (ngx_ssl_ticket_key_callback).

import { randomFillSync } from 'node:crypto'
import { exportBuffer } from 'node:ffi'
import { SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, TLS1_3 } from './constants.ts'
import type { TlsContext } from './context.ts'
import { callback, openssl, returns } from './library.ts'
import { bytesAt } from './memory.ts'
import { forgetWith } from './thread-end.ts'

export interface TicketKey {
  /** 16 bytes, by which a ticket tells what it was sealed with. */
  readonly name: Buffer
  /** 16 or 32 bytes each. */
  readonly hmac: Buffer
  readonly aes: Buffer
}

/** Of a file of 48 or 80 bytes, in nginx's two layouts; null: it has another size. */
export function ticketKeyOf(bytes: Buffer): TicketKey | null {
  const name = bytes.subarray(0, 16)
  if (bytes.length === 48) return { name, aes: bytes.subarray(16, 32), hmac: bytes.subarray(32, 48) }
  if (bytes.length === 80) return { name, hmac: bytes.subarray(16, 48), aes: bytes.subarray(48, 80) }
  return null
}

/** The keys of today: asked for with each ticket. */
export type TicketKeys = () => readonly TicketKey[]

/** By context. */
const keysOf = new Map<bigint, TicketKeys>()
forgetWith(keysOf)
let asked = 0n
const FAILED = -1

/** @param keys the first seals, and must always be there */
export function sealTickets(context: TlsContext, keys: TicketKeys): void {
  const signature = returns('i32', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'i32')
  if (asked === 0n) asked = callback(signature, cipherFor, FAILED)
  keysOf.set(context.pointer, keys)
  openssl().SSL_CTX_callback_ctrl(context.pointer, SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, asked)
}

const UNKNOWN = 0
const USED = 1
/** It is good, and the client shall have a new one. */
const RENEW = 2

function cipherFor(ssl: bigint, name: bigint, iv: bigint, cipher: bigint, hmac: bigint, sealing: number): number {
  const keys = keysOf.get(openssl().SSL_get_SSL_CTX(ssl))?.()
  if (keys === undefined || keys.length === 0) return FAILED
  return sealing === 1 ? seal(keys[0]!, name, iv, cipher, hmac) : open(ssl, keys, name, iv, cipher, hmac)
}

function seal(key: TicketKey, name: bigint, iv: bigint, cipher: bigint, hmac: bigint): number {
  const o = openssl()
  exportBuffer(randomFillSync(Buffer.alloc(16)), iv, 16)
  exportBuffer(key.name, name, 16)
  if (o.EVP_EncryptInit_ex(cipher, cipherOf(key), 0n, key.aes, iv) !== 1) return FAILED
  return authenticate(key, hmac) ? USED : FAILED
}

function open(ssl: bigint, keys: readonly TicketKey[], name: bigint, iv: bigint, cipher: bigint, hmac: bigint): number {
  const o = openssl()
  const wanted = bytesAt(name, 16)
  const key = keys.find(one => one.name.equals(wanted))
  if (key === undefined) return UNKNOWN
  if (!authenticate(key, hmac)) return FAILED
  if (o.EVP_DecryptInit_ex(cipher, cipherOf(key), 0n, key.aes, iv) !== 1) return FAILED
  // In TLS 1.3 a ticket is to be used once.
  return key !== keys[0] || o.SSL_version(ssl) === TLS1_3 ? RENEW : USED
}

function authenticate({ hmac: key }: TicketKey, hmac: bigint): boolean {
  const o = openssl()
  return o.HMAC_Init_ex(hmac, key, key.length, o.EVP_sha256(), 0n) === 1
}

function cipherOf(key: TicketKey): bigint {
  const o = openssl()
  return key.aes.length === 16 ? o.EVP_aes_128_cbc() : o.EVP_aes_256_cbc()
}
