// Which server and location a request meets, and what these are: the first half of http's core.

import type { Texts } from './prose.ts'

export const servers: Texts = {
  http: {
    text: 'The block with everything that speaks HTTP. What is written in it holds for all its servers, unless they say otherwise.',
  },
  'core/server': {
    text: 'A virtual server: which requests it takes is for `listen` and `server_name` to say. The first one of an address takes those that no other one claims.',
  },
  location: {
    args: ['[= | ^~] URI', '~ PATTERN', '~* PATTERN', '@NAME'],
    text: 'Settings for the requests whose path it matches: the exact path (`=`), else the first regular expression in the order of the file (`~`, or `~*` whatever the case), else the longest beginning; one with `^~` keeps expressions from being asked. `@NAME` is matched by no path: `error_page`, `try_files` and their like lead there.',
  },
  'core/listen': {
    args: 'ADDRESS[:PORT[-PORT]] | PORT[-PORT] | unix:PATH [default_server] [ssl] [http2] [proxy_protocol[=v1 | v2 | auto]] [uwsgi] [backlog=NUMBER] [rcvbuf=SIZE] [sndbuf=SIZE] [ipv6only=on | off] [so_keepalive=on | off | [IDLE]:[INTERVAL]:[COUNT]] [fastopen=NUMBER] [deferred]',
    standard: '=port 80 of all addresses for root, 8000 for anybody else',
    text: 'Where connections are taken; without a port it is 80, and a range stands for each of its ports. `ssl`: they begin with a TLS handshake. `proxy_protocol`: with the PROXY protocol; with `=v1`, `=v2` or `=auto` they may, and need not. `uwsgi`: requests come as a front’s `uwsgi_pass` sends them. `backlog` is 511 unless given; with `reuseport` other servers may listen there too, `bind` changes nothing, and a `listen` with `quic` is left out with a warning.',
  },
  'core/server_name': {
    args: 'NAME …',
    standard: '""',
    text: 'Names of the server: exact, with a leading or final `*`, or `~` and a regular expression. `.NAME` is the name and all below it. The exact name comes first, then the longest `*.NAME`, the longest `NAME.*`, the first expression; named groups of an expression become variables.',
  },
  root: {
    args: 'PATH',
    standard: 'html',
    text: 'The folder that a request’s path is looked for in. Variables are allowed.',
  },
  alias: {
    args: 'PATH',
    text: 'Stands for the part of the path that the location’s name matches; the rest is put behind it. In a location with a regular expression it is the whole name of the file, made of the expression’s groups.',
  },
  internal: {
    args: '',
    text: 'Clients that ask for this location get 404: it is for redirects within the server, subrequests and `X-Accel-Redirect`.',
  },
  limit_except: {
    args: 'METHOD …',
    text: 'What is in the block holds for all methods but those named; who may `GET` may `HEAD`. It is the place for access rules, and another `proxy_pass` or its like may stand there.',
  },
  error_page: {
    args: 'CODE … [=[CODE]] URI',
    text: 'What a client gets instead of an error of those codes: another URI of this server, a named location, or a redirect to a URL. `=CODE` changes the status, `=` alone leaves it to the page. Rules of an inner block replace those outside; upstreams’ responses are concerned where `proxy_intercept_errors` and its like say so.',
  },
  recursive_error_pages: {
    text: 'Whether an error on the way to an error page may lead to another page. Off, a request gets one.',
  },
  absolute_redirect: {
    text: 'On, redirects made here name scheme and host; off, the path alone.',
  },
  server_name_in_redirect: {
    text: 'Which host redirects name: the first `server_name` of the server, or, off, the one the client asked for.',
  },
  port_in_redirect: {
    text: 'Whether redirects name the port where it is not the scheme’s own.',
  },
  merge_slashes: {
    text: 'Several slashes in a row count as one when a location is looked for. What the address’s default server says holds for all of its names, or what the one says that TLS has named.',
  },
  server_tokens: {
    args: 'on | off | build [name=WORD]',
    standard: 'on',
    text: 'What responses and error pages call the server: `nginx/1.31.5` (`on`), `nginx` (`off`), or with Portico’s name and version behind it (`build`). Scripts that look for nginx find it. `name=` puts another name in its place, with Portico’s version: `portico serve` says `on name=portico`.',
  },
  types: {
    standard: '=html, gif and jpeg, as in nginx',
    text: 'Which media type files have: lines of a type and the suffixes that mean it. A block replaces the one outside as a whole; `include mime.types` brings the usual ones.',
  },
  default_type: {
    args: 'TYPE',
    text: 'The media type of files whose suffix is in no `types`.',
  },
  log_subrequest: {
    text: 'Whether subrequests have lines of their own in the access log.',
  },
  msie_padding: {
    text: 'Error pages for Internet Explorer and Chrome are made longer than 512 bytes, below which they show pages of their own.',
  },
  msie_refresh: {
    text: 'Redirects become pages that refresh, for clients that call themselves Internet Explorer.',
  },
}
