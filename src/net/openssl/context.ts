// What connections have in common: certificates, keys, whom to trust, what is spoken. One of OpenSSL's SSL_CTX, which belongs
// to the thread that has made it, and to the connections made with it until the last of them has gone.

import { getRawPointer } from 'node:ffi'
import * as c from './constants.ts'
import { fail } from './errors.ts'
import { callback, cString, openssl, returns } from './library.ts'
import { reading } from './memory.ts'
import { readCertificates, readKey, readRevoked, storedKey } from './pem.ts'
import { freeWith } from './thread-end.ts'

/** Certificates are judged when the handshake is over: none ends it. */
let judgeLater = 0n

export class TlsContext {
  readonly pointer: bigint

  constructor() {
    const o = openssl()
    this.pointer = o.SSL_CTX_new(o.TLS_method())
    if (this.pointer === 0n) fail('SSL_CTX_new() failed')
    freeWith(this, this.pointer)
    this.setOptions(
      c.SSL_OP_NO_COMPRESSION |
        c.SSL_OP_NO_TX_CERTIFICATE_COMPRESSION |
        c.SSL_OP_NO_RX_CERTIFICATE_COMPRESSION |
        c.SSL_OP_NO_ANTI_REPLAY |
        c.SSL_OP_IGNORE_UNEXPECTED_EOF |
        c.SSL_OP_NO_RENEGOTIATION,
    )
    this.control(c.SSL_CTRL_MODE, c.SSL_MODE_RELEASE_BUFFERS | c.SSL_MODE_NO_AUTO_CHAIN)
  }

  control(command: number, number: bigint, pointer = 0n): bigint {
    return openssl().SSL_CTX_ctrl(this.pointer, command, number, pointer)
  }

  setOptions(options: bigint): void {
    openssl().SSL_CTX_set_options(this.pointer, options)
  }

  // ── what is spoken ───────────────────────────────────────────────────────────────────────────────────────────────

  /** @param refused SSL_OP_NO_… of the versions not to be spoken */
  setVersions(refused: bigint): void {
    const all = c.SSL_OP_NO_TLSV1 | c.SSL_OP_NO_TLSV1_1 | c.SSL_OP_NO_TLSV1_2 | c.SSL_OP_NO_TLSV1_3
    openssl().SSL_CTX_clear_options(this.pointer, all)
    this.setOptions(refused | c.SSL_OP_NO_SSLV3)
    this.control(c.SSL_CTRL_SET_MIN_PROTO_VERSION, 0n)
    this.control(c.SSL_CTRL_SET_MAX_PROTO_VERSION, c.TLS1_3_VERSION)
  }

  setCiphers(list: string): void {
    const done = openssl().SSL_CTX_set_cipher_list(this.pointer, cString(list))
    if (done === 0) fail(`SSL_CTX_set_cipher_list("${list}") failed`)
  }

  setCurves(list: string): void {
    const text = Buffer.allocUnsafeSlow(list.length + 1)
    cString(list).copy(text)
    const done = this.control(c.SSL_CTRL_SET_GROUPS_LIST, 0n, getRawPointer(text))
    text.fill(0)
    if (done === 0n) fail(`SSL_CTX_set1_curves_list("${list}") failed`)
  }

  /** @param name of the file, for what may be wrong with it */
  setDhParameters(text: string, name: string): void {
    const o = openssl()
    const parameters = reading(text, bio => o.PEM_read_bio_Parameters(bio, 0n))
    if (parameters === 0n) fail(`PEM_read_bio_Parameters("${name}") failed`)
    if (o.SSL_CTX_set0_tmp_dh_pkey(this.pointer, parameters) === 1) return
    o.EVP_PKEY_free(parameters)
    fail(`SSL_CTX_set0_tmp_dh_pkey("${name}") failed`)
  }

  /** @param bytes that a client may send before the handshake is over */
  setEarlyData(bytes: number): void {
    openssl().SSL_CTX_set_max_early_data(this.pointer, bytes)
  }

  // ── who we are ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Shows a certificate and what leads from it to a root. The pointers stay the caller's. */
  useCertificate(chain: readonly bigint[], name: string): void {
    const o = openssl()
    if (o.SSL_CTX_use_certificate(this.pointer, chain[0]!) === 0) fail(`SSL_CTX_use_certificate("${name}") failed`)
    const others = o.OPENSSL_sk_new_null()
    for (const certificate of chain.slice(1)) o.OPENSSL_sk_push(others, certificate)
    const done = this.control(c.SSL_CTRL_CHAIN, 1n, others)
    o.OPENSSL_sk_free(others)
    if (done === 0n) fail(`SSL_CTX_set0_chain("${name}") failed`)
  }

  /** The key of the last certificate. */
  useKey(text: string, passwords: readonly string[], name: string): void {
    this.takeKey(readKey(text, passwords), name)
  }

  useStoredKey(uri: string, passwords: readonly string[], name: string): void {
    this.takeKey(storedKey(uri, passwords), name)
  }

  private takeKey(key: bigint, name: string): void {
    const o = openssl()
    const done = o.SSL_CTX_use_PrivateKey(this.pointer, key)
    o.EVP_PKEY_free(key)
    if (done === 0) fail(`SSL_CTX_use_PrivateKey("${name}") failed`)
  }

  /** Certificates are sent compressed to clients that can read that (RFC 8879). Called when all are known. */
  compressCertificates(): void {
    const o = openssl()
    o.SSL_CTX_clear_options(this.pointer, c.SSL_OP_NO_TX_CERTIFICATE_COMPRESSION)
    if (o.SSL_CTX_compress_certs(this.pointer, 0) === 0) fail('SSL_CTX_compress_certs() failed')
  }

  // ── whom we trust ────────────────────────────────────────────────────────────────────────────────────────────────

  /** A server asks its clients for certificates; the handshake goes on whatever they are. */
  askForCertificates(): void {
    if (judgeLater === 0n) judgeLater = callback(returns('i32', 'i32', 'pointer'), goOn, 0)
    openssl().SSL_CTX_set_verify(this.pointer, c.SSL_VERIFY_PEER, judgeLater)
  }

  /** A peer's chain is looked at to its end, as a client's is: what was found last is what is told (ngx_ssl_verify_callback). */
  judgePeersLater(): void {
    if (judgeLater === 0n) judgeLater = callback(returns('i32', 'i32', 'pointer'), goOn, 0)
    openssl().SSL_CTX_set_verify(this.pointer, c.SSL_VERIFY_NONE, judgeLater)
  }

  setVerifyDepth(depth: number): void {
    openssl().SSL_CTX_set_verify_depth(this.pointer, depth)
  }

  /** @param told are clients told these authorities' names? */
  trust(text: string, name: string, told: boolean): void {
    const o = openssl()
    const store = o.SSL_CTX_get_cert_store(this.pointer)
    const certificates = readCertificates(text)
    const names = told ? o.OPENSSL_sk_new_null() : 0n
    let refused = false
    for (const certificate of certificates) {
      if (o.X509_STORE_add_cert(store, certificate) !== 1) refused = true
      if (told) addName(names, o.X509_get_subject_name(certificate))
      o.X509_free(certificate)
    }
    if (told) o.SSL_CTX_set_client_CA_list(this.pointer, names)
    if (refused) fail(`X509_STORE_add_cert("${name}") failed`)
  }

  setRevoked(text: string, name: string): void {
    const o = openssl()
    const store = o.SSL_CTX_get_cert_store(this.pointer)
    let refused = false
    for (const list of readRevoked(text)) {
      if (o.X509_STORE_add_crl(store, list) !== 1) refused = true
      o.X509_CRL_free(list)
    }
    if (refused) fail(`X509_STORE_add_crl("${name}") failed`)
    o.X509_STORE_set_flags(store, c.X509_V_FLAG_CRL_CHECK | c.X509_V_FLAG_CRL_CHECK_ALL)
  }

  // ── OpenSSL's own configuration language ─────────────────────────────────────────────────────────────────────────

  /** Does this command name a file (or a folder)? */
  static namesFile(command: string): boolean {
    const o = openssl()
    const commands = newCommands()
    const type = o.SSL_CONF_cmd_value_type(commands, cString(command))
    o.SSL_CONF_CTX_free(commands)
    return type === c.SSL_CONF_TYPE_FILE || type === c.SSL_CONF_TYPE_DIR
  }

  run(commands: readonly (readonly [command: string, value: string])[]): void {
    const o = openssl()
    const context = newCommands()
    o.SSL_CONF_CTX_set_ssl_ctx(context, this.pointer)
    try {
      for (const [command, value] of commands) {
        if (o.SSL_CONF_cmd(context, cString(command), cString(value)) <= 0) {
          fail(`SSL_CONF_cmd("${command}", "${value}") failed`)
        }
      }
      if (o.SSL_CONF_CTX_finish(context) !== 1) fail('SSL_CONF_finish() failed')
    } finally {
      o.SSL_CONF_CTX_free(context)
    }
  }

  // ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Sessions are resumed where this is the same (at most 32 bytes). */
  setSessionIdContext(id: Buffer): void {
    openssl().SSL_CTX_set_session_id_context(this.pointer, id, id.length)
  }

  setSessionTimeout(seconds: number): void {
    openssl().SSL_CTX_set_timeout(this.pointer, BigInt(seconds))
  }

  /** @param mode SSL_SESS_CACHE_…, @param size sessions, 0: OpenSSL's own limit */
  setSessionCache(mode: bigint, size = 0): void {
    this.control(c.SSL_CTRL_SET_SESS_CACHE_MODE, mode)
    if (size > 0) this.control(c.SSL_CTRL_SET_SESS_CACHE_SIZE, BigInt(size))
  }

  /** 80 bytes: name, authentication and encryption of tickets. */
  setTicketKeys(keys: Buffer): void {
    const copy = Buffer.allocUnsafeSlow(keys.length)
    keys.copy(copy)
    this.control(c.SSL_CTRL_SET_TLSEXT_TICKET_KEYS, BigInt(copy.length), getRawPointer(copy))
    copy.fill(0)
  }
}

/** What is wrong stands in the SSL's result; an error left over would be taken for the handshake's own (SSL_get_error). */
function goOn(): number {
  openssl().ERR_clear_error()
  return 1
}

/** A copy, unless it is among them. */
function addName(names: bigint, name: bigint): void {
  const o = openssl()
  for (let i = o.OPENSSL_sk_num(names) - 1; i >= 0; i--) {
    if (o.X509_NAME_cmp(o.OPENSSL_sk_value(names, i), name) === 0) return
  }
  o.OPENSSL_sk_push(names, o.X509_NAME_dup(name))
}

function newCommands(): bigint {
  const o = openssl()
  const commands = o.SSL_CONF_CTX_new()
  o.SSL_CONF_CTX_set_flags(
    commands,
    c.SSL_CONF_FLAG_FILE |
      c.SSL_CONF_FLAG_SERVER |
      c.SSL_CONF_FLAG_CLIENT |
      c.SSL_CONF_FLAG_CERTIFICATE |
      c.SSL_CONF_FLAG_SHOW_ERRORS,
  )
  return commands
}
