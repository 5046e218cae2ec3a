// The life of a connection and a request: sizes, times, bodies. The second half of http's core.

import type { Texts } from './prose.ts'

export const requests: Texts = {
  client_header_timeout: {
    text: 'How long a client may take for a request’s head, and before it for the PROXY protocol and the TLS handshake; then it gets 408 and the connection ends.',
  },
  client_header_buffer_size: {
    text: 'Changes nothing here: heads are read into a buffer that all connections of a thread share, and `large_client_header_buffers` is their limit.',
  },
  large_client_header_buffers: {
    text: 'The limit of a request’s head: its line and each of its fields may have SIZE bytes, all of it NUMBER times as many. A longer line is answered with 414, longer fields with 400. No buffers are set aside for it.',
  },
  max_headers: { text: 'How many fields the head of a request may have; with more it is answered with 400.' },
  ignore_invalid_headers: {
    text: 'Fields with a name that has other characters than letters, digits, `-` (and `_` where `underscores_in_headers` allows it) are left out; off, the request is answered with 400.',
  },
  underscores_in_headers: {
    text: 'Whether `_` may be in the name of a request’s field. It is easily confused with `-` where names become variables, therefore off.',
  },
  strict_requests: {
    text: 'Refuses with 400 what nginx forgives where RFC 9112 leaves it to a server: lines that end with LF alone, several spaces in the request line, versions such as `HTTP/1.01`, HTTP/0.9, a second `Content-Type`. An `Expect` of anything but `100-continue` gets 417. Methods may then be any token of 3 to 20 characters but for small letters and `#`, as with Gunicorn; `Host`, `Content-Length`, `Transfer-Encoding`, `TE`, `Trailer` or `Authorization` behind a chunked body is an error, and not only left out. What can be read in one way only cannot be smuggled. `portico serve` has it on.',
  },
  require_host: {
    text: 'A request of HTTP/1.1 without a `Host` field, or with an empty one, is answered with 400, as RFC 9112 and nginx have it. Off, it comes to the server that is the address’s default, and an application finds no `HTTP_HOST`. `portico serve` has it off, as Gunicorn, except for Node.',
  },
  raw_requests: {
    text: 'Leaves it to the application which requests it serves, as Gunicorn does: paths are not resolved nor their slashes merged, and what is no percent-encoding stays as it is; `TRACE` and `CONNECT` are methods like any other; a user may stand before the host of an absolute target, and `gzip`, `deflate`, `compress` or `identity` before `chunked` in `Transfer-Encoding`, of which an application finds what is left. `RAW_URI` is the target as it was sent. Only where one application gets every path: a `location` with rules of its own can be walked around by `/a/../b`. `portico serve` has it on, except for Node.',
  },
  lenient_requests: {
    text: 'Takes requests that are wrong, for clients that cannot be mended; each of these can make a proxy before this server see another request than it. `obsolete_folding`: a field may go on in the next line, which becomes a space. `header_spaces`: there may be blanks before the colon of a field. `unconventional_method`: any token is a method. `unconventional_version`: versions such as `HTTP/2.0` or `HTTP/0.9` in a request of HTTP/1. `casefold_method`: methods are made capitals. For `portico serve` they are Gunicorn’s settings (`--permit-obsolete-folding` and so on).',
  },
  client_max_body_size: { text: 'A request with a longer body gets 413. `0`: no limit.' },
  client_body_buffer_size: { text: 'A request body longer than this goes to a temporary file.' },
  client_body_in_file_only: {
    text: 'Writes each request body that is read to a file, however short it is: `clean` removes it when the request ends, `on` leaves it there. `$request_body_file` is its name.',
  },
  client_body_early_read: {
    args: 'TEXT …',
    text: 'Requests for which one of the texts is neither empty nor `0` have their whole body read before anything else is done with them, so that `$request_body` is there for rewrite rules, maps and limits. `client_max_body_size` of the server holds while it is read.',
  },
  client_body_timeout: {
    text: 'How long a client may send nothing of a body that is waited for; then the request ends with 408.',
  },
  client_body_temp_path: {
    args: 'PATH [LEVEL [LEVEL [LEVEL]]]',
    standard: 'client_body_temp',
    text: 'The folder for request bodies that are too long for memory. Levels are read and change nothing: files are put into the folder itself.',
  },
  temp_file_log_level: {
    text: 'The level at which it is logged that the body of a request or of an upstream’s or application’s response goes to a temporary file.',
  },
  send_timeout: {
    text: 'How long a client may take nothing of a response; then the connection is closed.',
  },
  reset_timedout_connection: {
    text: 'Connections that have timed out are reset, so that the kernel forgets at once what the client has not taken.',
  },
  'core/keepalive_min_timeout': {
    text: 'How long an idle HTTP/1 connection is left alone: it is closed neither to make room for others nor because the server stops or reloads, which waits for it. `0`: not at all.',
  },
  'core/keepalive_timeout': {
    args: 'TIME [TIME]',
    standard: '75s',
    text: 'How long a connection may be idle between two requests; `0`: it ends with its first one. A second time is what the field `Keep-Alive` tells the client.',
  },
  'core/keepalive_time': { text: 'A connection older than this ends with the request it has.' },
  'core/keepalive_requests': { text: 'A connection ends with so many requests.' },
  keepalive_disable: {
    text: 'Browsers whose connections end with each request: `msie6` after a `POST`, `safari` Safari on macOS, `none` nobody.',
  },
  lingering_close: {
    text: 'Whether a connection that is to end is still read from, so that a client which is sending does see the answer: where there may be more to come (`on`), in any case (`always`), or not (`off`).',
  },
  lingering_time: {
    text: 'How long the rest of a body that nobody wants is read and dropped, at most.',
  },
  lingering_timeout: {
    text: 'How long a client may send nothing while it is still read from.',
  },
  chunked_transfer_encoding: {
    text: 'Off, responses of unknown length end with the connection instead of being sent in chunks, for clients that do not know chunks though they speak HTTP/1.1.',
  },
  'core/tcp_nodelay': {
    text: 'Changes nothing here: what there is to send is always sent at once (TCP_NODELAY).',
  },
  sendfile: {
    text: 'Files go from the page cache to a plain connection within the kernel by sendfile(2). With TLS, HTTP/2 or a filter in between they are read and written; small ones are sent from memory in any case.',
  },
}
