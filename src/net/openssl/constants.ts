// Numbers of OpenSSL's headers, under their names there (ssl.h, tls1.h, x509_vfy.h). They belong to its binary interface and
// are the same in all of 3.x.

export const SSL_ERROR_WANT_READ = 2
export const SSL_ERROR_ZERO_RETURN = 6

export const SSL_OP_IGNORE_UNEXPECTED_EOF = 1n << 7n
export const SSL_OP_NO_TICKET = 1n << 14n
export const SSL_OP_NO_COMPRESSION = 1n << 17n
export const SSL_OP_CIPHER_SERVER_PREFERENCE = 1n << 22n
export const SSL_OP_NO_ANTI_REPLAY = 1n << 24n
export const SSL_OP_NO_SSLV3 = 1n << 25n
export const SSL_OP_NO_TLSV1 = 1n << 26n
export const SSL_OP_NO_TLSV1_2 = 1n << 27n
export const SSL_OP_NO_TLSV1_1 = 1n << 28n
export const SSL_OP_NO_TLSV1_3 = 1n << 29n
export const SSL_OP_NO_RENEGOTIATION = 1n << 30n
export const SSL_OP_NO_TX_CERTIFICATE_COMPRESSION = 1n << 32n
export const SSL_OP_NO_RX_CERTIFICATE_COMPRESSION = 1n << 33n

export const SSL_MODE_NO_AUTO_CHAIN = 0x8n
export const SSL_MODE_RELEASE_BUFFERS = 0x10n

export const SSL_SESS_CACHE_OFF = 0n
export const SSL_SESS_CACHE_CLIENT = 1n
export const SSL_SESS_CACHE_SERVER = 2n
export const SSL_SESS_CACHE_NO_AUTO_CLEAR = 0x80n
export const SSL_SESS_CACHE_NO_INTERNAL_STORE = 0x200n
export const SSL_SESS_CACHE_NO_INTERNAL = 0x300n

export const SSL_VERIFY_NONE = 0
export const SSL_VERIFY_PEER = 1

export const SSL_SENT_SHUTDOWN = 1
export const SSL_RECEIVED_SHUTDOWN = 2

// Commands of SSL_ctrl() and SSL_CTX_ctrl(), which most of the API's macros stand for.
export const SSL_CTRL_MODE = 33
export const SSL_CTRL_SET_SESS_CACHE_SIZE = 42
export const SSL_CTRL_SET_SESS_CACHE_MODE = 44
export const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55
export const SSL_CTRL_SET_TLSEXT_TICKET_KEYS = 59
export const SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB = 63
export const SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP = 71
export const SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB = 72
export const SSL_CTRL_CHAIN = 88
export const SSL_CTRL_SET_GROUPS_LIST = 92
export const SSL_CTRL_GET_PEER_SIGNATURE_NID = 108
export const SSL_CTRL_SET_MIN_PROTO_VERSION = 123
export const SSL_CTRL_SET_MAX_PROTO_VERSION = 124
export const SSL_CTRL_GET_SIGNATURE_NID = 132
export const SSL_CTRL_GET_NEGOTIATED_GROUP = 134

/** A group that OpenSSL has no object for: the rest of the number is its code point. */
export const TLSEXT_NID_UNKNOWN = 0x1000000

export const TLS1_3 = 0x304
export const TLS1_3_VERSION = 0x304n

export const SSL_TLSEXT_ERR_OK = 0
export const SSL_TLSEXT_ERR_ALERT_FATAL = 2
export const SSL_TLSEXT_ERR_NOACK = 3

export const X509_V_FLAG_CRL_CHECK = 0x4n
export const X509_V_FLAG_CRL_CHECK_ALL = 0x8n
/** "no start line": nothing (more) of that kind in a PEM file. */
export const PEM_R_NO_START_LINE = 108n
export const ERR_REASON_MASK = 0x7fffffn

export const SSL_CONF_FLAG_FILE = 2
export const SSL_CONF_FLAG_CLIENT = 4
export const SSL_CONF_FLAG_SERVER = 8
export const SSL_CONF_FLAG_SHOW_ERRORS = 0x10
export const SSL_CONF_FLAG_CERTIFICATE = 0x20
export const SSL_CONF_TYPE_FILE = 2
export const SSL_CONF_TYPE_DIR = 3

export const SSL_READ_EARLY_DATA_ERROR = 0
export const SSL_READ_EARLY_DATA_SUCCESS = 1
export const SSL_READ_EARLY_DATA_FINISH = 2

export const OSSL_STORE_INFO_PKEY = 4
