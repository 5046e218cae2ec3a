// TLS: what servers show and ask for, certificates that renew themselves, how upstreams are spoken to; and HTTP/2.

import type { Family, Texts, VariableTexts } from './prose.ts'

const COMMAND =
  'A setting for OpenSSL itself (SSL_CONF_cmd), for what there is no directive. Relative paths begin at the configuration’s folder.'
const CERTIFICATE_CACHE = {
  args: ['max=NUMBER [valid=TIME] [inactive=TIME]', 'off'],
  standard: 'off',
}

/** proxy_ssl_ and its relatives. */
export const upstreamTls: Family = {
  prefixes: ['proxy', 'uwsgi', 'grpc'],
  texts: {
    ssl_session_reuse: {
      text: 'Whether sessions with upstreams are kept, so that later handshakes are short.',
    },
    ssl_protocols: {
      args: 'TLSv1 | TLSv1.1 | TLSv1.2 | TLSv1.3 …',
      text: 'The versions of TLS that upstreams are spoken to in. `SSLv2` and `SSLv3` are read and mean nothing.',
    },
    ssl_ciphers: {
      args: 'LIST',
      text: 'The ciphers that upstreams are offered up to TLS 1.2, as OpenSSL writes them.',
    },
    ssl_name: {
      args: 'NAME',
      standard: '=the name that `PREFIX_pass` has',
      text: 'The name that is sent (`PREFIX_ssl_server_name`) and that the certificate must be for (`PREFIX_ssl_verify`). Variables are allowed.',
    },
    ssl_server_name: {
      text: 'Whether an upstream is told which name is meant (SNI), so that it can choose its certificate.',
    },
    ssl_verify: {
      text: 'Whether upstreams’ certificates are checked. It needs `PREFIX_ssl_trusted_certificate`.',
    },
    ssl_verify_depth: { text: 'How long the chain of certificates may be.' },
    ssl_trusted_certificate: {
      args: 'PATH',
      text: 'A file of certificates whose word upstreams’ certificates are believed on.',
    },
    ssl_crl: { args: 'PATH', text: 'A file of certificates that have been revoked.' },
    ssl_certificate: {
      args: 'PATH | data:TEXT',
      text: 'The certificate that upstreams are shown, if they ask for one. Variables are allowed: then it is read when a request comes.',
    },
    ssl_certificate_key: {
      args: 'PATH | data:TEXT | store:URI',
      text: 'The key of `PREFIX_ssl_certificate`, in a file or from one of OpenSSL’s providers. Required with it.',
    },
    ssl_certificate_cache: {
      ...CERTIFICATE_CACHE,
      text: 'Remembers the certificates and keys that variables have led to: so many, for `valid` (1 minute) until they are looked at again, and until they were not used for `inactive` (10 s).',
    },
    ssl_password_file: { args: 'PATH', text: 'Passwords of keys, one a line; each is tried.' },
    ssl_conf_command: { args: 'NAME VALUE', text: COMMAND },
  },
}

export const tls: Texts = {
  ssl_alpn: {
    args: 'PROTOCOL …',
    text: 'What is spoken inside TLS in the stream block; clients are told the first of these that they offer (ALPN), and refused if they offer none.',
  },
  ssl_certificate: {
    args: 'PATH | data:TEXT',
    text: 'The certificate of a server, and those between it and the root. It may be given several times, with keys of different kinds. With variables it is read at each handshake, as the user of the front.',
  },
  ssl_certificate_key: {
    args: 'PATH | data:TEXT | store:URI',
    text: 'The key of the certificate with the same place in the list, in a file or from one of OpenSSL’s providers.',
  },
  ssl_certificate_cache: {
    ...CERTIFICATE_CACHE,
    text: 'Remembers the certificates and keys that variables have led to: so many, for `valid` (1 minute) until they are looked at again, and until they were not used for `inactive` (10 s).',
  },
  ssl_certificate_compression: {
    text: 'Whether certificates are sent compressed to clients of TLS 1.3 that take it (RFC 8879).',
  },
  ssl_password_file: { args: 'PATH', text: 'Passwords of keys, one a line; each is tried.' },
  ssl_dhparam: { args: 'PATH', text: 'Parameters for ciphers with DHE; without them there are none.' },
  ssl_ecdh_curve: { args: 'auto | CURVE[:CURVE …]', text: 'The curves for key exchange, `auto`: OpenSSL’s own.' },
  ssl_protocols: {
    args: 'TLSv1 | TLSv1.1 | TLSv1.2 | TLSv1.3 …',
    text: 'The versions of TLS that clients may speak. `SSLv2` and `SSLv3` are read and mean nothing.',
  },
  ssl_ciphers: { args: 'LIST', text: 'The ciphers that clients may have up to TLS 1.2, as OpenSSL writes them.' },
  ssl_prefer_server_ciphers: { text: 'Whether the server’s order of ciphers counts, or the client’s.' },
  ssl_buffer_size: {
    text: 'How much goes into one TLS record, at most. Small ones are readable sooner, big ones cost less.',
  },
  ssl_verify_client: {
    text: 'Whether clients are asked for a certificate: they must have a good one (`on`), may have one (`optional`), or may have one that nobody has vouched for, for an application to judge (`optional_no_ca`). Who has none, or a bad one, gets 400, which `error_page 495` and `496` can replace.',
  },
  ssl_verify_depth: { text: 'How long the chain of clients’ certificates may be.' },
  ssl_client_certificate: {
    args: 'PATH',
    text: 'A file of certificates whose word clients’ certificates are believed on. Clients are told their names.',
  },
  'ssl/ssl_trusted_certificate': {
    args: 'PATH',
    text: 'As `ssl_client_certificate`, but clients are not told; responses about our own certificate (`ssl_stapling`) are checked by it, too.',
  },
  ssl_crl: { args: 'PATH', text: 'A file of clients’ certificates that have been revoked.' },
  ssl_session_cache: {
    args: ['off | none', 'builtin[:NUMBER] [shared:NAME:SIZE]', 'shared:NAME:SIZE'],
    standard: 'none',
    text: 'Where sessions of clients without tickets are kept: in memory that all threads share and that survives a reload (`shared`), in each thread (`builtin`), or nowhere; `none` lets clients believe that they were.',
  },
  ssl_session_tickets: {
    text: 'Whether clients get tickets, with which they come back without a full handshake. Tickets are good in all threads and over a reload.',
  },
  ssl_session_ticket_key: {
    args: 'PATH',
    text: 'A file of 48 or 80 bytes whose key tickets are sealed with; the first seals, all open. Without it keys are drawn here.',
  },
  ssl_session_timeout: {
    text: 'How long sessions may be used; keys drawn here are renewed as often where there is a shared `ssl_session_cache`.',
  },
  ssl_reject_handshake: {
    text: 'Refuses handshakes for this server’s names; in the default server, for all that no other one has.',
  },
  ssl_conf_command: { args: 'NAME VALUE', text: COMMAND },
  ssl_early_data: {
    text: 'Whether a client that comes back may send a request with its first packet (TLS 1.3). Somebody who has seen that packet can send it again: `$ssl_early_data` tells.',
  },
  ssl_stapling: {
    text: 'Sends the responder’s word on our own certificate along with it. The first client after a start does not get it: its handshake sets the question off.',
  },
  ssl_stapling_verify: { text: 'Whether what the responder says is checked, by `ssl_trusted_certificate`.' },
  ssl_stapling_file: {
    args: 'PATH',
    text: 'A file with the responder’s word on our certificate, instead of asking for it.',
  },
  ssl_stapling_responder: {
    args: 'URL',
    text: 'The responder that is asked about our certificate, instead of the one that it names: `http://` only.',
  },
  ssl_ocsp: {
    text: 'Whether responders are asked if clients’ certificates were revoked: all of the chain (`on`), or the client’s own (`leaf`).',
  },
  ssl_ocsp_responder: {
    args: 'URL',
    text: 'The responder that is asked about clients’ certificates, instead of those that they name: `http://` only.',
  },
  ssl_ocsp_cache: {
    args: 'shared:NAME:SIZE | off',
    standard: 'off',
    text: 'Memory, shared by all threads, for what responders have said.',
  },
  http2: {
    text: 'Whether clients may speak HTTP/2: with TLS they choose by ALPN; without, they begin with it, or with HTTP/1.1 as others do.',
  },
  http2_max_concurrent_streams: { text: 'How many requests of one connection may be under way.' },
  http2_body_preread_size: {
    text: 'How much of a request’s body may come before anybody has asked for it.',
  },
  http2_streams_index_size: { args: 'NUMBER' },
  http2_chunk_size: { text: 'How much of a response goes into one frame, at most.' },
  http2_cleartext_from: {
    args: 'ADDRESS … | * | none',
    standard: '*',
    text: 'Who may speak HTTP/2 without TLS: addresses and networks of peers; those on Unix sockets always may. To others it is as if `http2` were off.',
  },
  http2_max_frame_size: {
    args: 'SIZE',
    text: 'The longest frame that clients may send, from 16384 to 16777215 bytes. Only bodies come in frames so long: heads have limits of their own.',
  },
  http2_max_header_list_size: {
    args: 'SIZE',
    text: 'The largest head that clients may send, unpacked, with 32 bytes for each field (RFC 9113, 6.5.2): they are told, and a larger one is answered with 431. With 0 they are not told, and what `large_client_header_buffers` have no room for ends the connection.',
  },
}

export const acme: Texts = {
  acme_issuer: {
    args: 'NAME',
    text: 'An authority that is asked for certificates (ACME, RFC 8555). One thread asks, all use them; what fails is tried again, later and later.',
  },
  acme_certificate: {
    args: 'ISSUER [NAME …] [key=KEY]',
    text: 'Gets this server a certificate for those names, or those of `server_name`, and renews it when two thirds of its time are over. It is in `$acme_certificate` and `$acme_certificate_key`, for `ssl_certificate` and `ssl_certificate_key`. KEY is as with `account_key`.',
  },
  acme_shared_zone: {
    args: 'zone=NAME:SIZE',
    standard: 'zone=acme:256k',
    text: 'How much memory there is for certificates, shared by all threads. The name means nothing.',
  },
  'acme/uri': { args: 'URL', standard: null, text: 'The authority’s directory. Required.' },
  'acme/account_key': {
    args: 'ecdsa[:256 | 384 | 521] | rsa[:2048 | 3072 | 4096] | PATH',
    standard: 'ecdsa:256',
    text: 'The kind of key the account gets, or a file with one.',
  },
  'acme/challenge': {
    args: 'http-01 | tls-alpn-01',
    text: 'How it is proved that a name is ours: by a path under `/.well-known/acme-challenge/` on port 80, or by a handshake on port 443.',
  },
  'acme/contact': {
    args: 'ADDRESS …',
    text: 'Where the authority may write to: a mail address, or a URL.',
  },
  'acme/external_account_key': {
    args: 'ID PATH | data:TEXT',
    text: 'Ties the account to one there is with the authority: its name, and the key it has given, in base64 for URLs.',
  },
  'acme/profile': {
    args: 'NAME [require]',
    text: 'The kind of certificate to ask for, of those the authority has.',
  },
  'acme/ssl_trusted_certificate': {
    args: 'PATH',
    standard: '=the system’s certificates',
    text: 'Whose word the authority’s own certificate is believed on.',
  },
  'acme/ssl_verify': { text: 'Whether the authority’s own certificate is checked.' },
  'acme/state_path': {
    args: 'PATH | off',
    standard: '=`acme_` and the issuer’s name',
    text: 'The folder for the account’s key and the certificates, so that a restart finds them; `off`: nothing is kept.',
  },
  'acme/accept_terms_of_service': {
    args: '',
    text: 'Says that the authority’s terms of service are accepted; one that has any gives nothing without it.',
  },
}

export const tlsVariables: VariableTexts = {
  ssl_protocol: 'The version of TLS: `TLSv1.3`.',
  ssl_cipher: 'The cipher that was agreed on.',
  ssl_ciphers: 'The ciphers that the client offers.',
  ssl_sigalg: 'The algorithm that we have signed the handshake with; empty where a session is resumed.',
  ssl_client_sigalg: 'The algorithm that the client has signed the handshake with; empty without a certificate of its.',
  ssl_ech_status: 'Empty: Encrypted Client Hello is not supported.',
  ssl_ech_outer_server_name: 'Empty: Encrypted Client Hello is not supported.',
  ssl_curve: 'The curve of the key exchange.',
  ssl_curves: 'The curves that the client offers.',
  ssl_sigalgs: 'The signature algorithms that the client offers, as numbers.',
  ssl_session_id: 'The session’s identifier.',
  ssl_session_reused: '`r` if the client has come back with a session, else `.`.',
  ssl_early_data: '`1` while the handshake of a request sent with the first packet is not complete.',
  ssl_server_name: 'The name that the client asks for (SNI).',
  ssl_alpn_protocol: 'The protocol that was agreed on (ALPN).',
  ssl_client_cert: 'The client’s certificate (PEM), each line but the first with a tab in front.',
  ssl_client_raw_cert: 'The client’s certificate (PEM).',
  ssl_client_escaped_cert: 'The client’s certificate, escaped as in a URL: for header fields.',
  ssl_client_s_dn: 'The subject of the client’s certificate (RFC 2253).',
  ssl_client_i_dn: 'The issuer of the client’s certificate (RFC 2253).',
  ssl_client_s_dn_legacy: 'The subject of the client’s certificate in the older form, `/C=…/CN=…`.',
  ssl_client_i_dn_legacy: 'The issuer of the client’s certificate in the older form.',
  ssl_client_serial: 'The serial number of the client’s certificate.',
  ssl_client_fingerprint: 'The SHA-1 fingerprint of the client’s certificate.',
  ssl_client_verify: 'What came of checking the client’s certificate: `SUCCESS`, `FAILED:` and why, or `NONE`.',
  ssl_client_v_start: 'From when on the client’s certificate is good.',
  ssl_client_v_end: 'Until when the client’s certificate is good.',
  ssl_client_v_remain: 'For how many days the client’s certificate is still good.',
  acme_certificate: 'This server’s certificate, for `ssl_certificate`.',
  acme_certificate_key: 'The key of this server’s certificate, for `ssl_certificate_key`.',
  http2: '`h2` or `h2c` (without TLS) if the request came by HTTP/2, else empty.',
}
