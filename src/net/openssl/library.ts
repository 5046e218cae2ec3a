// OpenSSL as it is linked into Node, called directly (node:ffi): its names, its signatures, nothing of ours. node:tls offers a
// part of it; docs/decisions/0010-tls.md says why that part is not enough. Everything that calls these functions is in this
// folder and in ../tls.ts.
//
// Pointers are bigints, 0n is NULL. A Buffer that is handed over is only used during the call.

import { dlopen } from 'node:ffi'

interface Types {
  readonly void: void
  readonly pointer: bigint
  readonly buffer: Uint8Array
  readonly i32: number
  readonly u32: number
  readonly i64: bigint
  readonly u64: bigint
}

type Type = keyof Types
type Signature = { readonly return: Type; readonly arguments: readonly Type[] }
type Values<A extends readonly Type[]> = { -readonly [I in keyof A]: Types[A[I]] }
type FunctionOf<S extends Signature> = (...args: Values<S['arguments']>) => Types[S['return']]

/** How a function of C's is called. */
export function returns<const R extends Type, const A extends readonly Type[]>(type: R, ...args: A) {
  return { return: type, arguments: args } as const
}

const P = 'pointer'
const B = 'buffer'
const I = 'i32'

const signatures = {
  // connections
  SSL_new: returns(P, P),
  SSL_free: returns('void', P),
  SSL_set_bio: returns('void', P, P, P),
  SSL_set_accept_state: returns('void', P),
  SSL_set_connect_state: returns('void', P),
  SSL_do_handshake: returns(I, P),
  SSL_read: returns(I, P, P, I),
  SSL_write: returns(I, P, P, I),
  SSL_shutdown: returns(I, P),
  SSL_set_shutdown: returns('void', P, I),
  SSL_get_error: returns(I, P, I),
  SSL_ctrl: returns('i64', P, I, 'i64', P),
  SSL_read_early_data: returns(I, P, B, 'u64', B),
  SSL_write_early_data: returns(I, P, B, 'u64', B),
  SSL_get_early_data_status: returns(I, P),
  SSL_get_version: returns(P, P),
  SSL_version: returns(I, P),
  SSL_get_current_cipher: returns(P, P),
  SSL_CIPHER_get_name: returns(P, P),
  SSL_group_to_name: returns(P, P, I),
  SSL_get0_alpn_selected: returns('void', P, B, B),
  SSL_set_alpn_protos: returns(I, P, B, 'u32'),
  SSL_session_reused: returns(I, P),
  SSL_is_server: returns(I, P),
  SSL_get_session: returns(P, P),
  SSL_set_session: returns(I, P, P),
  SSL_get1_peer_certificate: returns(P, P),
  SSL_get_verify_result: returns('i64', P),
  SSL_get0_verified_chain: returns(P, P),
  SSL_get_peer_cert_chain: returns(P, P),
  SSL_get_certificate: returns(P, P),
  SSL_get_SSL_CTX: returns(P, P),
  SSL_get_signature_type_nid: returns(I, P, B),
  SSL_get_peer_signature_type_nid: returns(I, P, B),

  // contexts
  TLS_method: returns(P),
  SSL_CTX_new: returns(P, P),
  SSL_CTX_free: returns('void', P),
  SSL_CTX_ctrl: returns('i64', P, I, 'i64', P),
  SSL_CTX_callback_ctrl: returns('i64', P, I, P),
  SSL_CTX_set_options: returns('u64', P, 'u64'),
  SSL_CTX_clear_options: returns('u64', P, 'u64'),
  SSL_CTX_use_certificate: returns(I, P, P),
  SSL_CTX_use_PrivateKey: returns(I, P, P),
  SSL_CTX_set_cipher_list: returns(I, P, B),
  SSL_CTX_set_verify: returns('void', P, I, P),
  SSL_CTX_set_verify_depth: returns('void', P, I),
  SSL_CTX_set_client_CA_list: returns('void', P, P),
  SSL_CTX_get_cert_store: returns(P, P),
  SSL_CTX_set_session_id_context: returns(I, P, B, 'u32'),
  SSL_CTX_set_timeout: returns('i64', P, 'i64'),
  SSL_CTX_get_timeout: returns('i64', P),
  SSL_CTX_remove_session: returns(I, P, P),
  SSL_CTX_sess_set_new_cb: returns('void', P, P),
  SSL_CTX_sess_set_get_cb: returns('void', P, P),
  SSL_CTX_sess_set_remove_cb: returns('void', P, P),
  SSL_CTX_set_alpn_select_cb: returns('void', P, P, P),
  SSL_CTX_set0_tmp_dh_pkey: returns(I, P, P),
  SSL_CTX_compress_certs: returns(I, P, I),
  SSL_CTX_set_max_early_data: returns(I, P, 'u32'),
  SSL_CONF_CTX_new: returns(P),
  SSL_CONF_CTX_free: returns('void', P),
  SSL_CONF_CTX_set_flags: returns('u32', P, 'u32'),
  SSL_CONF_CTX_set_ssl_ctx: returns('void', P, P),
  SSL_CONF_CTX_finish: returns(I, P),
  SSL_CONF_cmd: returns(I, P, B, B),
  SSL_CONF_cmd_value_type: returns(I, P, B),

  // sessions
  SSL_SESSION_get_id: returns(P, P, B),
  SSL_SESSION_get_time: returns('i64', P),
  SSL_SESSION_set_time: returns('i64', P, 'i64'),
  SSL_SESSION_get_timeout: returns('i64', P),
  SSL_SESSION_set_timeout: returns('i64', P, 'i64'),
  SSL_SESSION_free: returns('void', P),
  i2d_SSL_SESSION: returns(I, P, B),
  d2i_SSL_SESSION: returns(P, P, B, 'i64'),

  // what tickets are sealed with
  EVP_aes_128_cbc: returns(P),
  EVP_aes_256_cbc: returns(P),
  EVP_sha256: returns(P),
  EVP_EncryptInit_ex: returns(I, P, P, P, B, P),
  EVP_DecryptInit_ex: returns(I, P, P, P, B, P),
  HMAC_Init_ex: returns(I, P, B, I, P, P),

  // memory, errors
  BIO_s_mem: returns(P),
  BIO_new: returns(P, P),
  BIO_new_mem_buf: returns(P, B, I),
  BIO_up_ref: returns(I, P),
  BIO_free: returns(I, P),
  BIO_read: returns(I, P, P, I),
  BIO_write: returns(I, P, P, I),
  BIO_ctrl: returns('i64', P, I, 'i64', P),
  BIO_ctrl_pending: returns('u64', P),
  ERR_clear_error: returns('void'),
  ERR_peek_error: returns('u64'),
  ERR_get_error: returns('u64'),
  ERR_peek_last_error: returns('u64'),
  ERR_peek_error_data: returns('u64', B, B),
  ERR_error_string_n: returns('void', 'u64', B, 'u64'),
  OBJ_nid2sn: returns(P, I),
  CRYPTO_malloc: returns(P, 'u64', B, I),
  CRYPTO_free: returns('void', P, B, I),

  // certificates and keys
  PEM_read_bio_X509_AUX: returns(P, P, P, P, P),
  PEM_read_bio_X509: returns(P, P, P, P, P),
  PEM_read_bio_X509_CRL: returns(P, P, P, P, P),
  PEM_read_bio_PrivateKey: returns(P, P, P, P, P),
  PEM_read_bio_Parameters: returns(P, P, P),
  EVP_PKEY_free: returns('void', P),
  X509_free: returns('void', P),
  X509_CRL_free: returns('void', P),
  i2d_X509: returns(I, P, B),
  d2i_X509: returns(P, P, B, 'i64'),
  X509_get_subject_name: returns(P, P),
  X509_NAME_dup: returns(P, P),
  X509_NAME_cmp: returns(I, P, P),
  X509_NAME_free: returns('void', P),
  X509_get1_ocsp: returns(P, P),
  X509_email_free: returns('void', P),
  X509_check_issued: returns(I, P, P),
  X509_verify_cert_error_string: returns(P, 'i64'),
  X509_STORE_add_cert: returns(I, P, P),
  X509_STORE_add_crl: returns(I, P, P),
  X509_STORE_set_flags: returns(I, P, 'u64'),
  X509_STORE_CTX_new: returns(P),
  X509_STORE_CTX_free: returns('void', P),
  X509_STORE_CTX_init: returns(I, P, P, P, P),
  X509_STORE_CTX_get1_issuer: returns(I, B, P, P),
  X509_STORE_CTX_get0_chain: returns(P, P),
  X509_verify_cert: returns(I, P),
  X509_get_signature_nid: returns(I, P),
  X509_get0_pubkey: returns(P, P),
  EVP_PKEY_get_base_id: returns(I, P),
  EVP_PKEY_get_bits: returns(I, P),
  OPENSSL_sk_new_null: returns(P),
  OPENSSL_sk_push: returns(I, P, P),
  OPENSSL_sk_num: returns(I, P),
  OPENSSL_sk_value: returns(P, P, I),
  OPENSSL_sk_free: returns('void', P),

  // private keys behind a URI
  OSSL_STORE_open: returns(P, B, P, P, P, P),
  OSSL_STORE_expect: returns(I, P, I),
  OSSL_STORE_load: returns(P, P),
  OSSL_STORE_close: returns(I, P),
  OSSL_STORE_eof: returns(I, P),
  OSSL_STORE_INFO_get1_PKEY: returns(P, P),
  OSSL_STORE_INFO_free: returns('void', P),
  UI_UTIL_wrap_read_pem_callback: returns(P, P, I),
  UI_destroy_method: returns('void', P),

  // OCSP
  OCSP_cert_to_id: returns(P, P, P, P),
  OCSP_CERTID_free: returns('void', P),
  OCSP_REQUEST_new: returns(P),
  OCSP_REQUEST_free: returns('void', P),
  OCSP_request_add0_id: returns(P, P, P),
  i2d_OCSP_REQUEST: returns(I, P, B),
  d2i_OCSP_RESPONSE: returns(P, P, B, 'i64'),
  OCSP_RESPONSE_free: returns('void', P),
  OCSP_response_status: returns(I, P),
  OCSP_response_status_str: returns(P, 'i64'),
  OCSP_response_get1_basic: returns(P, P),
  OCSP_BASICRESP_free: returns('void', P),
  OCSP_basic_verify: returns(I, P, P, P, 'u64'),
  OCSP_resp_find_status: returns(I, P, P, B, B, B, B, B),
  OCSP_check_validity: returns(I, P, P, 'i64', 'i64'),
  OCSP_cert_status_str: returns(P, 'i64'),
  ASN1_TIME_to_tm: returns(I, P, B),
} as const

export type OpenSsl = { readonly [N in keyof typeof signatures]: FunctionOf<(typeof signatures)[N]> }

interface Callbacks {
  registerCallback(signature: Signature, run: (...args: any[]) => number | bigint | void): bigint
}

let functions: OpenSsl | null = null
let library: Callbacks | null = null

/** Loaded when the first configuration wants it. */
export function openssl(): OpenSsl {
  return functions ?? load()
}

function load(): OpenSsl {
  const opened = dlopen(null, signatures as never) as unknown as { functions: OpenSsl; lib: Callbacks }
  functions = opened.functions
  library = opened.lib
  return functions
}

/**
 * A C function that runs `run`. It is good in this thread, and as long as the thread lives.
 * @param failed what C gets if `run` throws, which must not go through C: that would end the whole process
 */
export function callback<const S extends Signature>(
  signature: S,
  run: FunctionOf<S>,
  failed: Types[S['return']],
): bigint {
  openssl()
  const guarded = run as (...args: any[]) => number | bigint | void
  return library!.registerCallback(signature, (...args) => {
    try {
      return guarded(...args)
    } catch (error) {
      setImmediate(rethrow, error)
      return failed as number | bigint | void
    }
  })
}

function rethrow(error: unknown): never {
  throw error
}

/** A latin1 text as C has it. */
export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'latin1')
}
