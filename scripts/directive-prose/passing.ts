// What all who pass requests on have in common, whatever the upstream speaks: times, buffers, what is tried next. Told once, for
// proxy_, fastcgi_, uwsgi_, scgi_, grpc_, memcached_ and tunnel_.

import type { Family } from './prose.ts'

export const passing: Family = {
  prefixes: ['proxy', 'fastcgi', 'uwsgi', 'scgi', 'grpc', 'memcached', 'tunnel'],
  texts: {
    bind: {
      args: ['ADDRESS[:PORT] [transparent]', 'off'],
      standard: 'off',
      text: 'Which address upstreams are connected to from. Variables are allowed. With `transparent` it need not be this machine’s (`$remote_addr`): the kernel must then be told to send the answers here, and the master must start as root, with this directive in its configuration.',
    },
    socket_keepalive: {
      text: 'The kernel checks whether a silent upstream is still there (SO_KEEPALIVE).',
    },
    socket_rcvbuf: {
      standard: '0',
      text: 'The kernel’s buffer for what upstreams send (SO_RCVBUF), and so how far they may be ahead; `0`: as the kernel sees fit.',
    },
    socket_sndbuf: {
      standard: '0',
      text: 'The kernel’s buffer for what upstreams are sent (SO_SNDBUF); `0`: as the kernel sees fit.',
    },
    connect_timeout: {
      text: 'How long connecting to an upstream may take, with the TLS handshake if there is one.',
    },
    send_timeout: { text: 'How long an upstream may take nothing of what it is sent.' },
    read_timeout: {
      text: 'How long an upstream may send nothing; then the client gets 504, or the connection ends if its response has begun. An upgraded connection, such as a WebSocket, ends when nothing has moved so long in either direction.',
    },
    buffering: {
      text: 'On, a response is taken from the upstream as fast as it comes, into memory and then a file, and the client gets it at its own pace. Off, each part goes on when it comes, and a slow client holds up the upstream. An upstream may decide with `X-Accel-Buffering: yes` or `no`.',
    },
    request_buffering: {
      text: 'On, an upstream is asked when all of the request’s body is here. Off, it gets the body as the client sends it, and no other upstream can be tried once something has been sent.',
    },
    ignore_client_abort: {
      text: 'Whether an upstream is heard out though the client has gone.',
    },
    intercept_errors: {
      text: 'Whether responses with a status of 300 and more are replaced where `error_page` names a page for them.',
    },
    limit_rate: {
      args: 'SIZE',
      standard: '0',
      text: 'Bytes a second that a response is read at; `0`: no limit. It is for each request, only while responses are buffered. Variables are allowed.',
    },
    force_ranges: {
      text: 'Cuts the one range that a client asks for out of a whole response, whether the upstream knows ranges or not.',
    },
    store: {
      args: 'on | off | PATH',
      text: 'Keeps responses with status 200 as files, where `root` or `alias` say (`on`) or under a path with variables, for others to serve: a mirror that fills itself. They are kept for good; `PREFIX_cache` forgets.',
    },
    store_access: {
      args: 'WHO:RIGHTS …',
      standard: 'user:rw',
      text: 'The permissions of files that `PREFIX_store` makes, and of their folders: `user`, `group` or `all`, with `r` or `rw`. The owner has `rw` in any case.',
    },
    temp_path: {
      args: 'PATH [LEVEL [LEVEL [LEVEL]]]',
      standard: 'PREFIX_temp',
      text: 'The folder for responses that are too long for memory. Levels are read and change nothing.',
    },
    pass_request_headers: { text: 'Whether the fields of the client’s request go on.' },
    pass_request_body: { text: 'Whether the body of the client’s request goes on.' },
    buffer_size: {
      text: 'The limit of a response’s head. A longer one is a broken response (502, `invalid_header`).',
    },
    buffers: {
      text: 'How much of a response is kept in memory while the client is slower: the product of the two, at least two buffers. What is more goes to a temporary file.',
    },
    busy_buffers_size: {
      standard: '=twice the greater of `PREFIX_buffer_size` and one of the `PREFIX_buffers`',
      text: 'Checked as in nginx, and otherwise without effect: the client is given whatever there is.',
    },
    max_temp_file_size: {
      standard: '1024m',
      text: 'How much of a response may be in a temporary file; then the upstream has to wait for the client. `0`: no file.',
    },
    temp_file_write_size: {
      standard: '=twice the greater of `PREFIX_buffer_size` and one of the `PREFIX_buffers`',
      text: 'Checked as in nginx, and otherwise without effect.',
    },
    next_upstream: {
      args: 'error | timeout | invalid_header | http_500 | http_502 | http_503 | http_504 | http_403 | http_404 | http_429 | non_idempotent | off …',
      text: 'What makes the request go to another server of the group: no connection or a broken one (`error`), a timeout, a broken response, a status. Once it has been sent, `POST`, `LOCK` and `PATCH` are repeated only with `non_idempotent`; nothing is repeated once the client has got a part of a response.',
    },
    next_upstream_tries: { text: 'How many servers are asked at most; `0`: each of the group.' },
    next_upstream_timeout: { text: 'The time after which no further server is asked; `0`: none.' },
    pass_header: {
      args: 'FIELD',
      text: 'A field of responses that goes on to the client though it usually does not.',
    },
    hide_header: {
      args: 'FIELD',
      text: 'A field of responses that does not go on to the client. A block’s own list replaces the one outside.',
    },
    ignore_headers: {
      text: 'Fields of responses by which an upstream could tell this server what to do, and that are not obeyed: internal redirects (`X-Accel-Redirect`), speed, buffering and charset (`X-Accel-…`), and what decides on caching.',
    },
    param: {
      args: 'NAME VALUE [if_not_empty]',
      text: 'A parameter that the upstream gets; with `if_not_empty` only if there is something in it. The client’s fields come behind them as `HTTP_NAME`, but `Proxy`. A block with any does without those outside.',
    },
  },
}
