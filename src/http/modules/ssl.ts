// What is known of a TLS connection, as variables (ngx_http_ssl_module). The directives are read when a server is compiled
// (http/ssl), since the connection needs them before there is any request.

import type { X509Certificate } from 'node:crypto'
import { escapeUri } from '../../codec/h1/uri.ts'
import type { TlsConnection } from '../../net/tls.ts'
import { httpModule, type Variable } from '../module.ts'
import type { ClientTls } from '../ssl/client-tls.ts'
import { cipherName, groupName, numberText } from '../ssl/code-points.ts'
import { sslDirectives } from '../ssl/directives.ts'
import { legacyName, rfc2253Name } from '../ssl/distinguished-name.ts'

function told(read: (tls: ClientTls) => string | null): Variable {
  return {
    get(r) {
      const { tls } = r.stream
      const text = tls === null ? null : read(tls)
      return text === '' ? null : text
    },
  }
}

function agreed(read: (connection: TlsConnection) => string): Variable {
  return told(({ connection }) => (connection === null ? null : read(connection)))
}

function ofCertificate(read: (certificate: X509Certificate) => string): Variable {
  return told(({ certificate }) => (certificate === null ? null : read(certificate)))
}

// What a client offers and nobody looks at, because a session is resumed, is not kept by OpenSSL.
function resumed({ connection }: ClientTls): boolean {
  return connection !== null && connection.sessionReused
}

/** Groups are needed nevertheless. */
function lately({ connection }: ClientTls): boolean {
  return connection !== null && connection.protocol === 'TLSv1.3'
}

const DAY_MS = 86_400_000

export const ssl = httpModule({
  name: 'ssl',
  directives: sslDirectives,
  variables: {
    ssl_protocol: agreed(connection => connection.protocol),
    ssl_cipher: agreed(connection => connection.cipher),
    ssl_ciphers: told(({ hello }) => hello.ciphers.map(cipherName).join(':')),
    ssl_curve: agreed(connection => connection.curve),
    ssl_curves: told(tls => (resumed(tls) && !lately(tls) ? '' : tls.hello.groups.map(groupName).join(':'))),
    ssl_sigalg: agreed(connection => connection.signature),
    ssl_sigalgs: told(tls => (resumed(tls) ? '' : tls.hello.signatureAlgorithms.map(numberText).join(':'))),
    ssl_session_id: agreed(connection => connection.sessionId),
    ssl_session_reused: agreed(connection => (connection.sessionReused ? 'r' : '.')),
    ssl_early_data: agreed(connection => (connection.early ? '1' : '')),
    ssl_server_name: told(({ hello }) => hello.spelledName),
    ssl_alpn_protocol: agreed(connection => connection.alpnProtocol),
    // Encrypted Client Hello needs an OpenSSL of version 4.
    ssl_ech_status: agreed(() => ''),
    ssl_ech_outer_server_name: agreed(() => ''),
    // A field's value may go on in the next line where that begins with white space: so the old form passes headers.
    ssl_client_cert: ofCertificate(certificate => pem(certificate).replaceAll('\n', '\n\t')),
    ssl_client_raw_cert: ofCertificate(certificate => `${pem(certificate)}\n`),
    ssl_client_escaped_cert: ofCertificate(certificate => escapeUri(`${pem(certificate)}\n`, 'component')),
    ssl_client_s_dn: ofCertificate(certificate => rfc2253Name(certificate.subject)),
    ssl_client_i_dn: ofCertificate(certificate => rfc2253Name(certificate.issuer)),
    ssl_client_s_dn_legacy: ofCertificate(certificate => legacyName(certificate.subject)),
    ssl_client_i_dn_legacy: ofCertificate(certificate => legacyName(certificate.issuer)),
    ssl_client_serial: ofCertificate(certificate => certificate.serialNumber),
    ssl_client_fingerprint: ofCertificate(certificate => certificate.fingerprint.replaceAll(':', '').toLowerCase()),
    ssl_client_verify: told(tls => tls.verdict),
    ssl_client_v_start: ofCertificate(certificate => certificate.validFrom),
    ssl_client_v_end: ofCertificate(certificate => certificate.validTo),
    ssl_client_v_remain: ofCertificate(daysLeft),
    ssl_client_sigalg: agreed(connection => connection.peerSignature),
  },
})

function pem(certificate: X509Certificate): string {
  return certificate.toString().trimEnd()
}

function daysLeft(certificate: X509Certificate): string {
  const left = Date.parse(certificate.validTo) - Date.now()
  return `${left <= 0 ? 0 : Math.floor(left / DAY_MS)}`
}
