// Groups of servers: who is in them, who is chosen, how their connections are kept, how it is found out that one is well.

import type { Texts, VariableTexts } from './prose.ts'

export const upstreams: Texts = {
  upstream: {
    args: 'NAME',
    text: 'A group of servers, for `proxy_pass http://NAME` and its like. Without another method they take turns, by weight. In the stream block it is a group for that block.',
  },
  'upstream/server': {
    args: 'ADDRESS [weight=NUMBER] [max_conns=NUMBER] [max_fails=NUMBER] [fail_timeout=TIME] [slow_start=TIME] [route=TEXT] [resolve] [service=NAME] [backup] [down | drain]',
    text: 'A server: `HOST[:PORT]` (80) or `unix:PATH`. After `max_fails` failures (1) within `fail_timeout` (10 s) it is left alone as long; `backup`: it is asked when no other can be. A name is looked up once, when the configuration is read; with `resolve` it is asked for again and again through `resolver`, and its addresses are the servers. `service` asks for SRV records. `slow_start`: a server that comes back gains its weight in that time. `drain`: it serves only those that `sticky` has bound to it.',
  },
  'upstream/state': {
    args: 'PATH',
    text: 'The servers are in that file, and the API’s changes are written to it. Instead of `server`; the group needs a `zone`.',
  },
  least_conn: { args: '', text: 'Chooses the server with the fewest requests for its weight.' },
  least_time: {
    args: 'header | last_byte [inflight]',
    text: 'Chooses the server that is likely to be done first: by the average time to a response’s head or end, the requests it has, and its weight. In the stream block the time is that to the connection (`connect`), to its first byte (`first_byte`) or to its end (`last_byte`). `inflight` counts how long those take already.',
  },
  ip_hash: {
    args: '',
    text: 'The same client, the same server: by the first three bytes of an IPv4 address, or a whole IPv6 one. Clients are spread as nginx does it.',
  },
  hash: {
    args: 'KEY [consistent]',
    text: 'The same key, a text with variables, the same server. `consistent`: when a server comes or goes only its own share of the keys moves. Keys are spread as nginx does it.',
  },
  'upstream/random': {
    args: '[two [least_conn | least_time=header | least_time=last_byte]]',
    text: 'Chooses by chance and weight; with `two` the better of two, by requests or by time.',
  },
  sticky: {
    args: [
      'cookie NAME [expires=TIME | max] [domain=DOMAIN] [path=PATH] [httponly] [secure] [samesite=strict | lax | none]',
      'route $VARIABLE …',
      'learn create=$VARIABLE lookup=$VARIABLE zone=NAME:SIZE [timeout=TIME] [header]',
    ],
    text: 'Requests that belong together go to the same server: by a cookie that is set here, by the `route` of a server that a variable names, or by a session that a response begins (`create`) and requests show (`lookup`), which is forgotten when it was not seen so long (10 minutes). `header`: it has begun with the response’s head.',
  },
  'upstream/queue': {
    args: 'NUMBER [timeout=TIME] [concurrency=NUMBER] [retry_after=TIME]',
    text: 'Requests that no server can take wait, at most NUMBER over all threads and so long (60 s); the rest is answered with 502. With `concurrency` no more than so many requests of the group are passed on at a time; then what there is no room for, or waits too long, is answered with 503 and `Retry-After` (1 s).',
  },
  'upstream/zone': {
    args: 'NAME [SIZE]',
    text: 'The servers of the group, their weights, failures and statistics lie in memory that all threads share: without it each thread counts its own, and `max_conns` is what one thread may have. It has room for a server in each 512 bytes of SIZE. Servers keep their numbers across a reload; those changed through the API stay as long as the block says the same.',
  },
  'upstream/keepalive': {
    args: 'NUMBER [local]',
    standard: '32 local',
    text: 'How many idle connections each thread keeps; `0`: none. With `local`, and without this directive, a connection is kept for the location that opened it.',
  },
  'upstream/keepalive_requests': { text: 'A connection to a server ends with so many requests.' },
  'upstream/keepalive_time': { text: 'A connection to a server older than this ends with the request it has.' },
  'upstream/keepalive_timeout': { text: 'How long a connection to a server may be idle.' },
  health_check: {
    args: '[interval=TIME] [jitter=TIME] [fails=NUMBER] [passes=NUMBER] [uri=URI] [port=NUMBER] [match=NAME] [mandatory [persistent]] [keepalive_time=TIME] [type=grpc [grpc_service=NAME] [grpc_status=CODE]]',
    text: 'The servers of the group that `proxy_pass`, `grpc_pass`, `fastcgi_pass`, `uwsgi_pass`, `scgi_pass` or `memcached_pass` names are asked at intervals (5 s) by one thread, in the protocol of the location; one that fails gets no requests until it passes. `mandatory`: a new server gets none before it has passed, `persistent`: but for those that had before a reload. Without `match` an answer from 200 to 399 is good. memcached is asked for its version, or for the key that `uri` is: 404 means that there is none. The group needs a `zone`. `type=grpc` makes gRPC’s own call, for a service if one is named; a server is healthy that says it is serving, or answers with the status given.',
  },
  match: {
    args: 'NAME',
    text: 'What a server’s answer must be like: lines `status CODES;` or `status ! CODES;`, `header NAME;`, `header ! NAME;`, `header NAME = VALUE;` (also `!=`, `~`, `!~`), `body ~ PATTERN;` or `body !~ PATTERN;`. All must hold.',
  },
  api: {
    args: '[write=on | off]',
    text: 'Shows connections and groups of servers as JSON, as NGINX Plus does, and with `write=on` adds, changes and removes servers.',
  },
  resolver: {
    args: 'ADDRESS[:PORT] … [valid=TIME] [ipv4=on | off] [ipv6=on | off]',
    text: 'The DNS servers that names are asked of which are known only at run time; the port is 53. Answers are kept as long as they say, or `valid`.',
  },
  resolver_timeout: { text: 'How long an answer of the `resolver` is waited for.' },
}

export const upstreamVariables: VariableTexts = {
  upstream_addr:
    'The addresses of the servers that were asked. Several stand one after the other, in all of these variables: with commas, or colons across an internal redirect.',
  upstream_status: 'The statuses that servers answered with; `-` for none.',
  upstream_queue_time: 'Seconds the request has waited in the group’s `queue`.',
  upstream_connect_time: 'Seconds until servers were connected to; 0 for a connection that was there.',
  upstream_header_time:
    'Seconds until the heads of servers’ responses were there. Of an application behind `app_pass`, counted from when a worker had the request.',
  upstream_response_time:
    'Seconds until servers’ responses were complete. Of an application behind `app_pass`, how long a worker has had the request.',
  upstream_response_length: 'Bytes of the bodies of servers’ responses.',
  upstream_bytes_received: 'Bytes received from servers.',
  upstream_bytes_sent: 'Bytes sent to servers.',
  upstream_last_server_name: 'The name of the server that was asked last, as its `server` has it, without the port.',
  upstream_http_NAME: 'A field of the upstream’s response.',
  upstream_trailer_NAME: 'A field behind the body of the upstream’s response, where `proxy_pass_trailers` is on.',
  upstream_cookie_NAME: 'The value of a cookie that the upstream sets.',
}
