// Certificates, lists of revoked ones and keys out of PEM texts. What is read is OpenSSL's memory: who asks for it frees it.

import { exportBuffer } from 'node:ffi'
import { ERR_REASON_MASK, OSSL_STORE_INFO_PKEY, PEM_R_NO_START_LINE } from './constants.ts'
import { fail, queuedErrors } from './errors.ts'
import { callback, cString, openssl, returns } from './library.ts'
import { reading } from './memory.ts'

/** A certificate, which may say what it is to be trusted for, and those that follow it. Throws OpensslFailure. */
export function readChain(text: string): bigint[] {
  const o = openssl()
  return reading(text, bio => {
    const leaf = o.PEM_read_bio_X509_AUX(bio, 0n, 0n, 0n)
    if (leaf === 0n) fail('PEM_read_bio_X509_AUX() failed')
    return rest(leaf, 'PEM_read_bio_X509() failed', () => o.PEM_read_bio_X509(bio, 0n, 0n, 0n), o.X509_free)
  })
}

/** All certificates of a text, at least one. */
export function readCertificates(text: string): bigint[] {
  const o = openssl()
  const next = (bio: bigint): bigint => o.PEM_read_bio_X509_AUX(bio, 0n, 0n, 0n)
  return reading(text, bio => all('PEM_read_bio_X509_AUX() failed', () => next(bio), o.X509_free))
}

export function readRevoked(text: string): bigint[] {
  const o = openssl()
  const next = (bio: bigint): bigint => o.PEM_read_bio_X509_CRL(bio, 0n, 0n, 0n)
  return reading(text, bio => all('PEM_read_bio_X509_CRL() failed', () => next(bio), o.X509_CRL_free))
}

function all(what: string, next: () => bigint, free: (one: bigint) => void): bigint[] {
  const first = next()
  if (first === 0n) fail(what)
  return rest(first, what, next, free)
}

/** Until there are no more, which OpenSSL says by an error. */
function rest(first: bigint, what: string, next: () => bigint, free: (one: bigint) => void): bigint[] {
  const found = [first]
  for (;;) {
    const one = next()
    if (one === 0n) {
      if ((openssl().ERR_peek_last_error() & ERR_REASON_MASK) !== PEM_R_NO_START_LINE) {
        found.forEach(each => free(each))
        fail(what)
      }
      queuedErrors()
      return found
    }
    found.push(one)
  }
}

// The password a key is being tried with: OpenSSL asks for it.
let password = ''
let asked = 0n

function passwordCallback(): bigint {
  const signature = returns('i32', 'pointer', 'i32', 'i32', 'pointer')
  if (asked === 0n) asked = callback(signature, givePassword, 0)
  return asked
}

function givePassword(target: bigint, size: number): number {
  const bytes = Buffer.from(password, 'latin1')
  if (bytes.length === 0 || bytes.length > size) return 0
  exportBuffer(bytes, target, size)
  return bytes.length
}

/** A private key; an encrypted one is tried with each password. Throws OpensslFailure. */
export function readKey(text: string, passwords: readonly string[]): bigint {
  const o = openssl()
  return withPasswords(passwords, 'PEM_read_bio_PrivateKey() failed', () =>
    reading(text, bio => o.PEM_read_bio_PrivateKey(bio, 0n, passwordCallback(), 0n)),
  )
}

/** A private key that a provider of OpenSSL's finds under a URI (`store:file:/…`). Throws OpensslFailure. */
export function storedKey(uri: string, passwords: readonly string[]): bigint {
  const o = openssl()
  return withPasswords(passwords, 'OSSL_STORE_load() failed', () => {
    const method = o.UI_UTIL_wrap_read_pem_callback(passwordCallback(), 0)
    const store = o.OSSL_STORE_open(cString(uri), method, 0n, 0n, 0n)
    const key = store === 0n ? 0n : firstKey(store)
    if (store !== 0n) o.OSSL_STORE_close(store)
    o.UI_destroy_method(method)
    return key
  })
}

function withPasswords(passwords: readonly string[], what: string, read: () => bigint): bigint {
  for (const one of passwords.length === 0 ? [''] : passwords) {
    queuedErrors()
    password = one
    const key = read()
    password = ''
    if (key !== 0n) {
      queuedErrors()
      return key
    }
  }
  return fail(what)
}

function firstKey(store: bigint): bigint {
  const o = openssl()
  o.OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY)
  while (o.OSSL_STORE_eof(store) === 0) {
    const info = o.OSSL_STORE_load(store)
    if (info === 0n) return 0n
    const key = o.OSSL_STORE_INFO_get1_PKEY(info)
    o.OSSL_STORE_INFO_free(info)
    if (key !== 0n) return key
  }
  return 0n
}
