// Mail clients passed on: the mail block.

import type { Texts } from './prose.ts'

export const mail: Texts = {
  'main/mail': { text: 'What is said of IMAP, POP3 and SMTP.' },
  'mail/server': { text: 'What is done with the mail clients of an address.' },
  'mail/listen': {
    args: 'ADDRESS:PORT | PORT | unix:PATH [ssl] [proxy_protocol] [backlog=NUMBER] [rcvbuf=SIZE] [sndbuf=SIZE] [ipv6only=on | off] [so_keepalive=on | off | [IDLE]:[INTERVAL]:[COUNT]]',
    text: 'Where clients are taken; an address belongs to one server. `ssl`: their connections begin with a TLS handshake. `proxy_protocol`: with the PROXY protocol’s header. Required.',
  },
  'mail/protocol': {
    standard:
      '=what is usual on the port of `listen`: 25, 465 and 587 are `smtp`, 110 and 995 `pop3`, 143 and 993 `imap`',
    text: 'What clients speak. On any other port it is required.',
  },
  'mail/server_name': {
    args: 'NAME',
    standard: '=the machine’s name',
    text: 'What the server calls itself: in SMTP’s greeting and hello, towards clients and servers, and in challenges.',
  },
  'mail/timeout': {
    text: 'How long a client may take until it is passed on, TLS handshake included; also how long the server it is passed to may take to let it in.',
  },
  'mail/max_errors': { text: 'After how many lines that are no commands a session is ended.' },
  'mail/starttls': {
    text: '`on`: clients may ask for TLS on a plain connection (STLS with POP3, STARTTLS with IMAP and SMTP). `only`: before they have done so they are not let in.',
  },
  auth_http: {
    args: ['[http://]HOST[:PORT][/URI]', 'unix:PATH[:/URI]'],
    text: 'Who is asked, by HTTP, whether a client is who it says and which server its mail is on. Required. [The guide](../guides/mail.md) says what is asked and what may be answered.',
  },
  auth_http_header: {
    args: 'NAME VALUE',
    text: 'A field more in what is asked: a secret, say, by which the question is known.',
  },
  auth_http_pass_client_cert: {
    text: 'Passes on the certificate that a client has shown, URL-encoded PEM, as Auth-SSL-Cert. Only with `ssl_verify_client`.',
  },
  auth_http_timeout: { text: 'How long the answer may take.' },
  'mail-proxy/proxy': { text: 'Clients are passed on in any case.' },
  'mail-proxy/proxy_buffer': { text: 'How long an answer may be to a step by which a client is logged in.' },
  'mail-proxy/proxy_pass_error_message': {
    text: 'What the server says that does not let a client in, the client gets to hear. Else it is told of an internal error: usually the password was right a moment before, and what is wrong is none of its business.',
  },
  'mail-proxy/proxy_protocol': {
    args: 'on | off | v1 | v2',
    text: 'Tells the server the client’s address by the PROXY protocol; `on` is version 1.',
  },
  'mail-proxy/proxy_smtp_auth': {
    text: 'Logs SMTP clients in at the server, too, by AUTH PLAIN; else it has to trust this proxy (`xclient`).',
  },
  'mail-proxy/proxy_timeout': { text: 'How long nothing may come from either side, once a client is logged in.' },
  xclient: {
    text: 'Tells SMTP servers by XCLIENT the client’s address and name, its hello, and who it is. Postfix wants `smtpd_authorized_xclient_hosts` for that.',
  },
  imap_auth: {
    args: 'plain | login | cram-md5 | external …',
    standard: 'plain',
    text: 'How IMAP clients may say who they are. LOGIN and the mechanisms PLAIN and LOGIN are always understood; whether clients are told of them, this says. `cram-md5` wants passwords that the authentication server knows in plain text; `external` is for clients with a certificate.',
  },
  imap_capabilities: {
    args: 'WORD …',
    standard: 'IMAP4 IMAP4rev1 UIDPLUS',
    text: 'What IMAP clients are told that they can do; mechanisms and STARTTLS are added. It is to be what the servers behind can do.',
  },
  imap_client_buffer: { text: 'How long an IMAP command may be.' },
  pop3_auth: {
    args: 'plain | apop | cram-md5 | external …',
    standard: 'plain',
    text: 'How POP3 clients may say who they are. USER and PASS, and the mechanisms PLAIN and LOGIN, are always understood. `apop` and `cram-md5` want passwords that the authentication server knows in plain text.',
  },
  pop3_capabilities: {
    args: 'WORD …',
    standard: 'TOP USER UIDL',
    text: 'What POP3 clients are told that they can do; SASL and STLS are added.',
  },
  smtp_auth: {
    args: 'plain | login | cram-md5 | external | none …',
    standard: 'plain login',
    text: 'How SMTP clients may say who they are. `none`: they need not; the authentication server is asked when they name a recipient.',
  },
  smtp_capabilities: {
    args: 'WORD …',
    standard: null,
    text: 'What SMTP clients are told that they can do; AUTH and STARTTLS are added.',
  },
  smtp_client_buffer: { text: 'How long an SMTP command may be.' },
  smtp_greeting_delay: {
    text: 'How long clients have to wait for the greeting. Those that cannot wait (senders of spam often do not) are sent away.',
  },
}
