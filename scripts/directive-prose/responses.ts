// What becomes of a response on its way out: header fields, cookies, text put in or replaced, compression.

import type { Texts, VariableTexts } from './prose.ts'

const INHERITED =
  'How an inner block’s own list stands to the one outside: it replaces it (`on`), comes in front of it (`merge`), or shuts it out even where there is none of its own (`off`).'

function types(filter: string): { readonly args: string; readonly standard: string; readonly text: string } {
  return {
    args: 'TYPE …',
    standard: 'text/html',
    text: `Which media types ${filter} is for; \`*\` is all. \`text/html\` is among them in any case.`,
  }
}

export const responses: Texts = {
  add_header: {
    args: 'NAME VALUE [always]',
    text: 'Adds a field to responses with the statuses 200, 201, 204, 206, 301 to 304, 307 and 308, or to all (`always`); an empty value adds none. A block with an `add_header` of its own does without those outside (`add_header_inherit`).',
  },
  add_header_inherit: { text: INHERITED },
  add_trailer: {
    args: 'NAME VALUE [always]',
    text: 'As `add_header`, for fields behind the body; values are taken when it has been sent. Clients of HTTP/1.0 get none.',
  },
  add_trailer_inherit: { text: INHERITED },
  expires: {
    args: ['[modified] TIME', '@TIME', 'epoch | max | off'],
    standard: 'off',
    text: 'Sets `Expires` and `Cache-Control` of successful responses and redirects: so long from now, or since the file was changed (`modified`), until the next such time of day (`@15h30m`), long past (`epoch`, or a negative time), in ten years (`max`). Variables are allowed.',
  },
  early_hints: {
    args: 'TEXT …',
    text: 'Responses 103 of an upstream or an application go on to the client if one of the texts, which have variables, is neither empty nor `0`: `$http2` for clients with HTTP/2. Clients of HTTP/1.0 get none.',
  },
  userid: {
    text: 'Gives each browser a cookie that tells it from others: `on`, `v1` in the older form, or `log`: cookies that come are read, none is set.',
  },
  userid_service: {
    args: 'NUMBER',
    standard: '=the last four bytes of the server’s address; `0` with `userid v1`',
    text: 'A number in each identifier that tells servers apart.',
  },
  userid_name: { args: 'NAME', text: 'The cookie’s name.' },
  userid_domain: { args: 'NAME | none', standard: 'none', text: 'The cookie’s domain.' },
  userid_path: { args: 'PATH', standard: '/', text: 'The cookie’s path.' },
  userid_expires: {
    args: 'TIME | max | off',
    standard: 'off',
    text: 'How long a browser keeps the cookie: `max` until 2037, `off` until it ends.',
  },
  userid_flags: {
    args: 'off | secure | httponly | samesite=strict | samesite=lax | samesite=none …',
    standard: 'off',
    text: 'Further attributes of the cookie.',
  },
  userid_p3p: { args: 'TEXT | none', standard: 'none', text: 'A `P3P` field, sent along with the cookie.' },
  userid_mark: {
    args: 'CHARACTER | off',
    standard: 'off',
    text: 'A letter, digit or `=` in place of the cookie’s padding. A cookie with another mark is sent anew with the same identifier, so that changed attributes reach browsers.',
  },
  gunzip: {
    text: 'Unpacks responses that come or lie compressed with gzip, for clients that do not take it.',
  },
  add_before_body: {
    args: 'URI',
    standard: null,
    text: 'Puts what that URI of this server answers in front of the body, of responses with status 200. `""` takes it away in an inner block.',
  },
  add_after_body: {
    args: 'URI',
    standard: null,
    text: 'Puts what that URI of this server answers behind the body, as `add_before_body` does in front of it.',
  },
  addition_types: types('the addition'),
  sub_filter: {
    args: 'TEXT REPLACEMENT',
    text: 'Replaces text in bodies, whatever the case of its letters; both may have variables. Up to 255 texts are looked for at once. An upstream that compresses hides its texts; `proxy_set_header Accept-Encoding ""` keeps it from that.',
  },
  sub_filter_types: types('the replacing'),
  sub_filter_once: { text: 'Whether each text is replaced once in a body, or everywhere.' },
  sub_filter_last_modified: {
    text: 'Whether `Last-Modified` stays, though the body may be another one. Off, it and `ETag` are taken away.',
  },
  charset: {
    args: 'NAME | off',
    standard: 'off',
    text: 'The charset that is put into `Content-Type`. If the body is in another one (`source_charset`, or what the response says itself) it is recoded, for which there must be a `charset_map`. Variables are allowed.',
  },
  source_charset: { args: 'NAME', text: 'The charset that bodies are in.' },
  override_charset: {
    text: 'Whether `charset` is for responses that name a charset themselves, too.',
  },
  charset_types: {
    args: 'TYPE …',
    standard: 'text/html text/xml text/plain text/vnd.wap.wml application/javascript application/rss+xml',
    text: 'Which media types get a charset; `*` is all.',
  },
  charset_map: {
    args: 'NAME NAME',
    text: 'How one charset becomes another: lines of a byte in each, in hexadecimal digits; for UTF-8, which comes second, a character’s bytes. It is used in both directions.',
  },
  ssi: {
    text: 'Carries out commands in pages, `<!--# include virtual="/part.html" -->`: `include`, `echo`, `set`, `if` (which may stand in one another), `config`, `block`. Includes are fetched all at once.',
  },
  ssi_types: types('SSI'),
  ssi_silent_errors: { text: 'Whether a command that goes wrong leaves nothing in the page instead of a message.' },
  ssi_value_length: { text: 'How long a parameter of a command may be.' },
  ssi_last_modified: { text: 'Whether `Last-Modified` stays, though parts of the page may be younger.' },
  subrequest_output_buffer_size: {
    text: 'How long a subrequest’s answer may be that is kept as a whole: for `include … set`, for instance.',
  },
  gzip: { text: 'Compresses responses with gzip for clients that take it. What is compressed already is left alone.' },
  gzip_vary: { text: 'Adds `Vary: Accept-Encoding` to what is compressed, or may be.' },
  gzip_http_version: { text: 'The least version of HTTP that a client must speak to get gzip.' },
  gzip_proxied: {
    text: 'Whether requests that came through a proxy (with `Via`) get gzip: always (`any`), never (`off`), or if the request has `Authorization` (`auth`), or the response forbids keeping it (`expired`, `no-cache`, `no-store`, `private`), or has no date or tag (`no_last_modified`, `no_etag`).',
  },
  gzip_disable: {
    args: 'PATTERN …',
    text: 'Clients whose `User-Agent` fits one of these regular expressions get no gzip; `msie6` stands for Internet Explorer up to 6.',
  },
  gzip_types: types('gzip'),
  gzip_comp_level: { text: 'How much work goes into it, from 1 to 9.' },
  gzip_window: {
    args: 'SIZE',
    standard: '32k',
    text: 'How far back repetitions are looked for: a power of two from 512 to `32k`.',
  },
  gzip_hash: {
    args: 'SIZE',
    standard: '64k',
    text: 'How much memory the search has: a power of two from 512 to `128k`.',
  },
  gzip_min_length: { text: 'Bodies known to be shorter are not compressed.' },
  brotli: {
    text: 'Compresses responses with brotli for clients that take it. Of several codings a client gets the one it wants most; among equals brotli, then zstd, then gzip.',
  },
  brotli_types: types('brotli'),
  brotli_comp_level: { text: 'How much work goes into it, from 0 to 11.' },
  brotli_window: { text: 'How far back repetitions are looked for.' },
  brotli_min_length: { text: 'Bodies known to be shorter are not compressed.' },
  zstd: {
    text: 'Compresses responses with zstd for clients that take it. With `gzip` and `brotli` it gets along as said of `brotli`.',
  },
  zstd_types: types('zstd'),
  zstd_comp_level: { text: 'How much work goes into it, from 1 to 22.' },
  zstd_min_length: { text: 'Bodies known to be shorter are not compressed.' },
}

export const responseVariables: VariableTexts = {
  sent_trailer_NAME: 'A field that has been sent behind the body.',
  uid_got: 'The name and the identifier in the cookie that came.',
  uid_set: 'The name and the identifier in the cookie that is set.',
  uid_reset: 'Set to anything but `0`, it makes the browser get a new identifier; `log`: and a line in the error log.',
  date_local: 'The time here, in the form that the SSI command `config timefmt` sets.',
  date_gmt: 'The time in UTC, in the form that the SSI command `config timefmt` sets.',
  gzip_ratio: 'How many times smaller the body has become, with whichever coding.',
}
