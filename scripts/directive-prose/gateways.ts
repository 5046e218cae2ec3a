// What each way of passing requests on has for itself: proxy_, fastcgi_, uwsgi_, scgi_, grpc_, memcached_, tunnel_.

import type { Texts, VariableTexts } from './prose.ts'

/** Where a gateway's responder is. */
function pass(what: string): string {
  return `Passes requests on to ${what}: at an address with a port, on a Unix socket, or to a group (\`upstream\`). With variables the name is looked up when a request comes, through \`resolver\`, unless it is a group’s. Not inherited by nested locations.`
}

/** Those protocols have no statuses for a gateway’s troubles. */
const nextWithoutGateways = {
  args: 'error | timeout | invalid_header | http_500 | http_503 | http_403 | http_404 | http_429 | non_idempotent | off …',
}

export const gateways: Texts = {
  proxy_pass: {
    args: ['http://HOST[:PORT][URI]', 'https://HOST[:PORT][URI]', 'http://unix:PATH:[URI]'],
    text: 'Passes requests on to a server, or a group of them (`upstream`). A URI stands for the part of the path that the location’s name matches; without one the path goes on as the client has written it. With variables all of it is made for each request, and names are looked up through `resolver`.',
  },
  proxy_set_header: {
    args: 'NAME VALUE',
    standard: 'Host $proxy_host',
    text: 'Sets a field of the request; an empty value leaves it out. A block with any does without those outside. The fields that belong to one connection (`Connection`, `Upgrade`, `TE`, `Keep-Alive`, `Expect`) do not go on unless they are set, and how a body is framed is not for the configuration to say.',
  },
  proxy_http_version: {
    text: 'The version of HTTP that upstreams are spoken to in. Connections are kept with 1.1 and 2; HTTP/2 is spoken at once, or agreed on by ALPN with `https://`.',
  },
  proxy_method: { args: 'METHOD', text: 'The method of requests, instead of the client’s. Variables are allowed.' },
  proxy_set_body: { args: 'TEXT', text: 'The body of requests, instead of the client’s. Variables are allowed.' },
  proxy_redirect: {
    args: ['default', 'off', 'FROM TO'],
    standard: 'default',
    text: 'Rewrites `Location` and `Refresh` of responses: what begins with FROM, or fits `~` or `~*` and a regular expression, begins with TO. `default` undoes what `proxy_pass` does to paths. The first rule that fits counts.',
  },
  proxy_cookie_domain: {
    args: ['off', 'FROM TO'],
    standard: 'off',
    text: 'Rewrites the domain of cookies: FROM, or what fits `~` and a regular expression, becomes TO. The first rule that fits counts.',
  },
  proxy_cookie_path: {
    args: ['off', 'FROM TO'],
    standard: 'off',
    text: 'Rewrites the path of cookies: the beginning FROM, or what fits `~` or `~*` and a regular expression, becomes TO. The first rule that fits counts.',
  },
  proxy_cookie_flags: {
    args: ['off', 'COOKIE FLAG …'],
    standard: 'off',
    text: 'Adds flags to a cookie, or those whose name fits `~` and a regular expression, or takes them away: `secure`, `httponly`, `samesite=strict`, `samesite=lax`, `samesite=none`, and `nosecure`, `nohttponly`, `nosamesite`.',
  },
  proxy_pass_trailers: {
    text: 'Whether fields behind a body go on, to the client and to the upstream.',
  },
  fastcgi_pass: { args: ['HOST:PORT', 'unix:PATH', 'GROUP'], text: pass('a FastCGI responder such as PHP-FPM') },
  fastcgi_index: {
    args: 'FILE',
    standard: null,
    text: 'What `$fastcgi_script_name` has behind a path that ends with `/`.',
  },
  fastcgi_split_path_info: {
    args: 'PATTERN',
    text: 'A regular expression with two groups: the first becomes `$fastcgi_script_name`, the second `$fastcgi_path_info`. The last one in a block counts.',
  },
  fastcgi_next_upstream: nextWithoutGateways,
  uwsgi_next_upstream: nextWithoutGateways,
  scgi_next_upstream: nextWithoutGateways,
  fastcgi_keep_conn: {
    text: 'Whether responders are asked to leave connections open, so that they can be used again.',
  },
  fastcgi_catch_stderr: {
    args: 'TEXT',
    text: 'A responder that says this on standard error, before its response’s head is complete, has failed (`invalid_header`).',
  },
  uwsgi_pass: {
    args: ['[uwsgi://]HOST:PORT', '[uwsgi://]unix:PATH', 'suwsgi://HOST:PORT', 'GROUP'],
    text: `${pass('a uWSGI server')} \`suwsgi://\` speaks TLS.`,
  },
  uwsgi_string: { args: 'TEXT', standard: null, text: 'Put behind the parameters of each packet, as it is.' },
  uwsgi_modifier1: { text: 'The first modifier in a packet’s head, up to 255.' },
  uwsgi_modifier2: { text: 'The second modifier in a packet’s head, up to 255.' },
  scgi_pass: { args: ['HOST:PORT', 'unix:PATH', 'GROUP'], text: pass('an SCGI server') },
  grpc_pass: {
    args: ['[grpc://]HOST:PORT', '[grpc://]unix:PATH', 'grpcs://HOST:PORT', 'GROUP'],
    text: `${pass('a gRPC server')} \`grpcs://\` speaks TLS. Nothing is buffered, in either direction, and trailers go on.`,
  },
  grpc_set_header: {
    args: 'NAME VALUE',
    standard: '=`grpc_set_header Content-Length $content_length;` and `grpc_set_header TE $grpc_internal_trailers;`',
    text: 'Sets a field of the request; an empty value leaves it out. `Host` is what the request has as its authority (`:authority`), usually the upstream’s name. A block with any does without those outside, but for these two.',
  },
  grpc_buffer_size: {
    text: 'The limit of a response’s head; bodies are not buffered.',
  },
  memcached_pass: {
    args: ['HOST:PORT', 'unix:PATH', 'GROUP'],
    text: 'Answers `GET` and `HEAD` with what memcached has under `$memcached_key`, which is to be `set`; 404 if there is nothing. Not inherited by nested locations.',
  },
  memcached_gzip_flag: {
    text: 'A value with this bit among its flags is compressed with gzip, and the response says so; `0`: none is.',
  },
  memcached_buffer_size: { text: 'The limit of the line in front of a value.' },
  memcached_next_upstream: {
    args: 'error | timeout | invalid_response | not_found | off …',
    text: 'What makes the request go to another server of the group: no connection or a broken one (`error`), a timeout, a broken response, nothing under that key.',
  },
  tunnel_pass: {
    args: '[HOST:PORT]',
    standard: null,
    text: 'Answers `CONNECT`: when the connection to that place stands the client is told so, and both sides’ bytes are passed on unread. Without an argument it is where the client asks to go (`$host:$request_port`), which is to be narrowed by access rules; names are looked up through `resolver`.',
  },
  tunnel_buffer_size: { text: 'Read as in nginx, and otherwise without effect: memory is taken by the read.' },
  tunnel_read_timeout: { text: 'How long nothing may move in either direction; then both connections end.' },
  tunnel_next_upstream: {
    args: 'error | timeout | off …',
    text: 'What makes another server of the group be tried: no connection (`error`), or none in time.',
  },
}

export const gatewayVariables: VariableTexts = {
  proxy_host: 'Name and port of the server that `proxy_pass` names; the port if it is not the scheme’s own.',
  proxy_port: 'The port of the server that `proxy_pass` names.',
  proxy_add_x_forwarded_for: 'What came as `X-Forwarded-For`, and the client’s address behind it.',
  fastcgi_script_name:
    'The path, or its first part by `fastcgi_split_path_info`, with `fastcgi_index` behind a final `/`.',
  fastcgi_path_info: 'The path’s second part by `fastcgi_split_path_info`.',
  grpc_internal_trailers: '`trailers` if the client takes trailers; for `grpc_set_header`.',
}
