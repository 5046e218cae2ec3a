// Who gets in, and how often: addresses, passwords, subrequests that decide, links that cannot be guessed, limits.

import type { Texts, VariableTexts } from './prose.ts'

const RULE =
  'Rules are tried in their order, the first that fits decides; a request that none fits passes. A block with rules of its own does without those outside.'

/** limit_req_log_level, limit_conn_status and so on. */
function limits(prefix: string): Texts {
  return {
    [`${prefix}_log_level`]: {
      text:
        prefix === 'limit_req'
          ? 'The level at which refused requests are logged. Delayed ones are logged one level lower.'
          : 'The level at which refused requests are logged.',
    },
    [`${prefix}_status`]: { args: 'CODE', text: 'The status of what is refused, from 400 to 599.' },
    [`${prefix}_dry_run`]: {
      text: `Counts and logs as in earnest, and lets everything pass. \`$${prefix}_status\` tells what would have been.`,
    },
  }
}

export const access: Texts = {
  allow: {
    args: 'ADDRESS | NETWORK | unix: | all',
    text: `Lets in clients with that address, of that network (\`192.0.2.0/24\`, IPv6 as well), or on Unix sockets. ${RULE}`,
  },
  deny: {
    args: 'ADDRESS | NETWORK | unix: | all',
    text: `Answers clients with that address, of that network, or on Unix sockets with 403; in the stream block the connection ends. ${RULE}`,
  },
  satisfy: {
    text: 'Whether all checks of access (`allow` and `deny`, `auth_basic`, `auth_request`) must consent, or any one of them is enough.',
  },
  auth_delay: {
    text: 'How long an answer 401 waits, so that guessing takes time.',
  },
  auth_basic: {
    args: 'REALM | off',
    standard: 'off',
    text: 'Asks for a name and a password, which are looked up in `auth_basic_user_file`. REALM is what browsers show, and may have variables.',
  },
  auth_basic_user_file: {
    args: 'PATH',
    text: 'Lines of `NAME:HASH[:COMMENT]`, as htpasswd makes them; a relative path begins at the configuration’s folder, and variables are allowed. Costly hashes are computed in a thread of their own, and wait their turn there.',
  },
  auth_request: {
    args: 'URI | off',
    standard: 'off',
    text: 'Asks that URI of this server about each request, in a subrequest without body: 2xx lets it pass, 401 and 403 are given to the client, anything else is a 500.',
  },
  auth_request_set: {
    args: '$VARIABLE VALUE',
    text: 'Sets a variable when the subrequest of `auth_request` is answered; VALUE may use what it has brought, `$upstream_http_NAME` for instance.',
  },
  secure_link: {
    args: 'TEXT',
    text: 'Where the digest is in a request, and behind a comma when the link expires, in seconds since 1970: `$arg_md5,$arg_expires`. The result is in `$secure_link`.',
  },
  secure_link_md5: {
    args: 'TEXT',
    text: 'What the digest must be of: MD5, written in base64 for URLs without the final `=`. It should hold a secret: `$secure_link_expires$uri secret`.',
  },
  secure_link_secret: {
    args: 'SECRET',
    text: 'The older way: paths are `/PREFIX/DIGEST/LINK`, the digest is MD5 of LINK and SECRET in hexadecimal digits, and `$secure_link` is LINK. Not together with the other two.',
  },
  limit_req_zone: {
    args: 'KEY zone=NAME:SIZE rate=RATE',
    text: 'Declares memory in which requests are counted by KEY, a text with variables, and how many a key may have in a second (`10r/s`) or a minute (`30r/m`). Counts are exact over all threads and survive a reload. When it is full, keys that were silent longest are forgotten; an empty key is not counted.',
  },
  limit_req: {
    args: 'zone=NAME [burst=NUMBER] [nodelay | delay=NUMBER]',
    text: 'Holds requests back to the zone’s rate: so many above it wait (`burst`, 0 unless given), those above that are refused. `nodelay`: nobody waits within the burst; `delay`: so many above the rate need not.',
  },
  ...limits('limit_req'),
  limit_conn_zone: {
    args: 'KEY zone=NAME:SIZE',
    text: 'Declares memory in which requests under way, in the stream block connections, are counted by KEY, a text with variables. All threads count together. An empty key is not counted.',
  },
  limit_conn: {
    args: 'ZONE NUMBER',
    text: 'How many requests with the same key may be under way at once; what is above is refused. A connection that waits for its next request does not count, each request of an HTTP/2 connection does. In the stream block it is connections that are counted, until they end.',
  },
  ...limits('limit_conn'),
  limit_rate: {
    args: 'SIZE',
    standard: '0',
    text: 'Bytes a second that a response is sent at; `0`: as fast as the client takes it. It is counted for each request, may have variables, and gives way to `$limit_rate` and `X-Accel-Limit-Rate`.',
  },
  limit_rate_after: {
    args: 'SIZE',
    standard: '0',
    text: 'How much of a response goes without a limit before `limit_rate` counts. Variables are allowed.',
  },
  set_real_ip_from: {
    args: 'ADDRESS | NETWORK | NAME | unix:',
    text: 'A proxy whose word for the client’s address is taken. Names are looked up when the configuration is read.',
  },
  real_ip_header: {
    args: 'FIELD | proxy_protocol',
    standard: 'X-Real-IP',
    text: 'Where the proxy names the client’s address: a field, of which the last address counts, or the PROXY protocol’s header.',
  },
  real_ip_recursive: {
    text: 'On, the last address that is not itself a trusted proxy’s is the client’s, instead of the last one.',
  },
  valid_referers: {
    args: '[none] [blocked] [server_names] NAME …',
    text: 'From where links may lead here; `$invalid_referer` is `1` for all others. `none`: no `Referer` at all, `blocked`: one without `http://` or `https://`, `server_names`: this server’s names. A NAME may have a `*` at either end and the beginning of a path, or is `~` and a regular expression for all behind `//`.',
  },
}

export const accessVariables: VariableTexts = {
  limit_req_status: 'What `limit_req` did: `PASSED`, `DELAYED`, `REJECTED`, or `DELAYED_DRY_RUN`, `REJECTED_DRY_RUN`.',
  limit_conn_status: 'What `limit_conn` did: `PASSED`, `REJECTED` or `REJECTED_DRY_RUN`.',
  secure_link:
    '`1`: the link is good, `0`: it was and has expired, empty: it is not. With `secure_link_secret` the link itself.',
  secure_link_expires: 'When the link expires, as the request says.',
  realip_remote_addr: 'The address that the connection came from.',
  realip_remote_port: 'The port that the connection came from.',
  invalid_referer: '`1` unless the request’s `Referer` is one of `valid_referers`.',
  proxy_protocol_addr: 'The client’s address, as the PROXY protocol tells it.',
  proxy_protocol_port: 'The client’s port, as the PROXY protocol tells it.',
  proxy_protocol_server_addr: 'The address that the client has connected to, as the PROXY protocol tells it.',
  proxy_protocol_server_port: 'The port that the client has connected to, as the PROXY protocol tells it.',
  proxy_protocol_tlv_NAME:
    'A value of the PROXY protocol’s version 2: `alpn`, `authority`, `unique_id`, `netns`, `ssl_…`, or by its number, `0x01`.',
}
