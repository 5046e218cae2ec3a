// Connections and datagrams passed on: the stream block and its proxy_.

import type { Texts, VariableTexts } from './prose.ts'

export const stream: Texts = {
  'stream/server': { text: 'What is done with the connections of an address.' },
  'stream/listen': {
    args: [
      'ADDRESS[:PORT[-PORT]] | PORT[-PORT] | unix:PATH [default_server] [ssl] [proxy_protocol[=v1 | v2 | auto]] [backlog=NUMBER] [rcvbuf=SIZE] [sndbuf=SIZE] [ipv6only=on | off] [so_keepalive=on | off | [IDLE]:[INTERVAL]:[COUNT]] [fastopen=NUMBER] [deferred]',
      'ADDRESS[:PORT[-PORT]] | PORT[-PORT] udp [default_server] [reuseport] [rcvbuf=SIZE] [sndbuf=SIZE] [ipv6only=on | off]',
    ],
    text: 'Where connections are taken; a range stands for each of its ports. `ssl`: they begin with a TLS handshake. `proxy_protocol`: with the PROXY protocol’s header, of either version. `udp`: datagrams come there, and what one client sends is a session; one thread serves the address, or with `reuseport` each thread a share of the clients. For connections it only lets other servers listen there too; `bind` changes nothing. Required.',
  },
  'stream/server_name': {
    args: 'NAME …',
    standard: '""',
    text: 'Names of the server, in the forms that the http block knows. Of several servers with one address the client’s name in TLS chooses, with `ssl` or `ssl_preread`.',
  },
  'stream/preread_buffer_size': {
    text: 'How long a client’s first message may be that is looked at (`ssl_preread`); a longer one ends the connection.',
  },
  'stream/preread_timeout': {
    text: 'How long a client’s first message may take that is looked at (`ssl_preread`); then the connection ends.',
  },
  'stream/proxy_protocol_timeout': { text: 'How long the PROXY protocol’s header may take.' },
  'stream/ssl_handshake_timeout': { text: 'How long the TLS handshake may take.' },
  'stream/ssl_preread': {
    text: 'Looks at what a TLS client says first, without being its other end: `$ssl_preread_server_name` and the like can choose the upstream.',
  },
  'stream/tcp_nodelay': { text: 'Sends at once what there is, however little it is (TCP_NODELAY).' },
  'stream/pass': {
    args: ['ADDRESS:PORT', 'unix:PATH'],
    text: 'The connection goes on as if it had come to that address of this configuration: to a server of the http block or another one of stream, without a second connection between them. What the client has said is heard there again; TLS that has ended here (`listen … ssl`) is not begun again, and must not have been looked into (`ssl_preread`). Variables are allowed; names are not looked up.',
  },
  'stream/return': {
    args: 'TEXT',
    text: 'Answers with that text, which may have variables, and ends the connection. Of `return`, `pass` and `proxy_pass` the last one in a server counts.',
  },
  'stream/set': {
    args: '$VARIABLE VALUE',
    text: 'Sets a variable when the client is known, before limits, rules and TLS; it need not have been declared.',
  },
  'stream-proxy/proxy_pass': {
    args: ['HOST:PORT', 'unix:PATH', 'GROUP'],
    text: 'Passes connections on to a server, or a group of them (`upstream`). With variables the name is looked up when a connection comes, through `resolver`, unless it is a group’s.',
  },
  'stream-proxy/proxy_bind': {
    args: ['ADDRESS[:PORT] [transparent]', 'off'],
    standard: 'off',
    text: 'Which address upstreams are connected to from. Variables are allowed. With `transparent` it need not be this machine’s (`$remote_addr`): the kernel must then be told to send the answers here, and the master must start as root, with this directive in its configuration.',
  },
  'stream-proxy/proxy_ssl': { text: 'Whether upstreams are spoken to over TLS.' },
  'stream-proxy/proxy_ssl_alpn': {
    args: 'NAME …',
    text: 'The protocols that upstreams are offered by ALPN. Variables are allowed; those that turn out empty are left out.',
  },
  'stream-proxy/proxy_protocol': {
    text: 'Whether upstreams are told by the PROXY protocol who the client is: in version 1 (`on`, `v1`) or 2 (`v2`).',
  },
  'stream-proxy/proxy_half_close': {
    text: 'Whether each direction ends for itself. Off, the end of one side ends the connection when what there is has been passed on.',
  },
  'stream-proxy/proxy_socket_rcvbuf': {
    text: 'The kernel’s buffer for what the upstream sends (SO_RCVBUF); `0`: as the kernel sees fit.',
  },
  'stream-proxy/proxy_socket_sndbuf': {
    text: 'The kernel’s buffer for what the upstream is sent (SO_SNDBUF); `0`: as the kernel sees fit.',
  },
  'stream-proxy/proxy_socket_keepalive': {
    text: 'The kernel checks whether a silent upstream is still there (SO_KEEPALIVE).',
  },
  'stream-proxy/proxy_connect_timeout': {
    text: 'How long connecting to an upstream may take, with the TLS handshake if there is one.',
  },
  'stream-proxy/proxy_buffer_size': {
    text: 'How many bytes of a UDP client may wait while the name of its upstream is looked up. Connections need no such limit.',
  },
  'stream-proxy/proxy_requests': {
    text: 'Of UDP: after so many datagrams of a client the next one begins another session; `0`: any number belongs to one.',
  },
  'stream-proxy/proxy_responses': {
    standard: '=any number',
    text: 'Of UDP: how many datagrams come back for each of the client’s. When all have come the session ends; when some are missing after `proxy_timeout`, the upstream has failed. Without it a session ends when nothing has moved for that long.',
  },
  'stream-proxy/proxy_timeout': {
    text: 'How long nothing may move in either direction; then the connection ends.',
  },
  'stream-proxy/proxy_next_upstream': {
    text: 'Whether another server of the group is tried when one cannot be connected to; for UDP, when the network says that nobody is there, and nothing has come back yet.',
  },
  'stream-proxy/proxy_next_upstream_tries': { text: 'How many servers are tried at most; `0`: each of the group.' },
  'stream-proxy/proxy_next_upstream_timeout': {
    text: 'The time after which no further server is tried; `0`: none.',
  },
  'stream-proxy/proxy_upload_rate': {
    args: 'SIZE',
    standard: '0',
    text: 'Bytes a second that a client’s side is read at; `0`: no limit. It is for each connection. Variables are allowed.',
  },
  'stream-proxy/proxy_download_rate': {
    args: 'SIZE',
    standard: '0',
    text: 'Bytes a second that the upstream’s side is read at; `0`: no limit. It is for each connection. Variables are allowed.',
  },
}

export const streamVariables: VariableTexts = {
  'stream/server_name': 'The first name of the server.',
  'stream/upstream_addr': 'The addresses of the upstreams that were tried, with commas between them.',
  'stream/upstream_bytes_sent': 'Bytes sent to upstreams.',
  'stream/upstream_bytes_received': 'Bytes received from upstreams.',
  'stream/upstream_connect_time': 'Seconds until upstreams were connected to.',
  bytes_received: 'Bytes received from the client and passed on.',
  protocol: '`TCP` or `UDP`.',
  session_time: 'Seconds since the client has connected.',
  ssl_preread_server_name: 'The name that the client asks for, as it spells it (`ssl_preread`).',
  ssl_preread_alpn_protocols: 'The protocols that the client offers, with commas between them.',
  ssl_preread_protocol: 'The newest version of TLS that the client speaks.',
  upstream_first_byte_time: 'Seconds until the first byte of upstreams.',
  upstream_session_time: 'Seconds that upstreams were connected.',
}
