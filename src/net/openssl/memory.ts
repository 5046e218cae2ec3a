// Things of OpenSSL's read from and written to memory.

import { exportBuffer, getRawPointer, toBuffer, toString } from 'node:ffi'
import { openssl } from './library.ts'

const NOWHERE = Buffer.from('\0')

let lastMemory: ArrayBufferLike | null = null
let lastBase = 0n

/** Where these bytes lie. For what comes with every record: what is read from sockets always lies in the same memory, and to
 *  ask where costs as much as a call of OpenSSL's. */
export function addressOf(bytes: Uint8Array): bigint {
  const { buffer } = bytes
  if (buffer !== lastMemory) {
    lastBase = getRawPointer(bytes) - BigInt(bytes.byteOffset)
    lastMemory = buffer
  }
  return lastBase + BigInt(bytes.byteOffset)
}

/** The DER form of something: `encode` is one of the i2d functions. */
export function derOf(encode: (from: bigint, to: Uint8Array) => number, from: bigint): Buffer {
  const target = Buffer.alloc(8)
  const length = encode(from, target)
  if (length <= 0) return Buffer.alloc(0)
  const at = target.readBigUInt64LE()
  const der = bytesAt(at, length)
  openssl().CRYPTO_free(at, NOWHERE, 0)
  return der
}

/** What DER stands for: `decode` is one of the d2i functions. 0n: it is broken. */
export function fromDer(decode: (to: bigint, from: Uint8Array, size: bigint) => bigint, der: Buffer): bigint {
  // Its place must not change while C looks at it.
  const bytes = Buffer.allocUnsafeSlow(der.length)
  der.copy(bytes)
  const at = Buffer.alloc(8)
  at.writeBigUInt64LE(getRawPointer(bytes))
  const made = decode(0n, at, BigInt(bytes.length))
  bytes.fill(0)
  return made
}

/** A copy that OpenSSL will free. */
export function given(bytes: Buffer): bigint {
  const at = openssl().CRYPTO_malloc(BigInt(bytes.length), NOWHERE, 0)
  exportBuffer(bytes, at, bytes.length)
  return at
}

/** A copy of C's bytes. */
export function bytesAt(pointer: bigint, size: number): Buffer {
  return pointer === 0n || size === 0 ? Buffer.alloc(0) : toBuffer(pointer, size, true)
}

/** A text of C's; '' for NULL. */
export function textAt(pointer: bigint): string {
  return pointer === 0n ? '' : (toString(pointer) ?? '')
}

/** Runs `use` with a BIO that reads the text. */
export function reading<T>(text: string, use: (bio: bigint) => T): T {
  const o = openssl()
  const bytes = Buffer.allocUnsafeSlow(text.length + 1)
  bytes.write(text, 0, 'latin1')
  const bio = o.BIO_new_mem_buf(bytes, text.length)
  try {
    return use(bio)
  } finally {
    o.BIO_free(bio)
    // The BIO has pointed at the bytes until now; there may have been a key in them.
    bytes.fill(0)
  }
}
