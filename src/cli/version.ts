// `-v`, `-V`, `-h`. What was built in is read off the modules: a module is there when its directive is.

import { HTTP, LOCATION, MAIL, STREAM, STREAM_SERVER, STREAM_UPSTREAM, UPSTREAM } from '../config/directive.ts'
import { NGINX_VERSION, PRODUCT, VERSION } from '../lib/product.ts'
import type { Registry } from '../config/registry.ts'

export function versionLine(): string {
  return `nginx version: nginx/${NGINX_VERSION} (${PRODUCT}/${VERSION})\n`
}

/** nginx's modules that are built on request, each with a directive of its own. */
const onRequest: readonly (readonly [module: string, directive: string, context: number])[] = [
  ['http_ssl', 'ssl_certificate', HTTP],
  ['http_v2', 'http2_max_concurrent_streams', HTTP],
  ['http_realip', 'set_real_ip_from', HTTP],
  ['http_addition', 'add_before_body', LOCATION],
  ['http_sub', 'sub_filter', HTTP],
  ['http_dav', 'dav_methods', HTTP],
  ['http_gunzip', 'gunzip', HTTP],
  ['http_gzip_static', 'gzip_static', HTTP],
  ['http_auth_request', 'auth_request', LOCATION],
  ['http_random_index', 'random_index', LOCATION],
  ['http_secure_link', 'secure_link', LOCATION],
  ['http_slice', 'slice', LOCATION],
  ['http_stub_status', 'stub_status', LOCATION],
]

/** Those that are built unless it is asked not to. */
const usual: readonly (readonly [module: string, directive: string, context: number])[] = [
  ['http_charset', 'charset', HTTP],
  ['http_gzip', 'gzip', HTTP],
  ['http_ssi', 'ssi', HTTP],
  ['http_userid', 'userid', HTTP],
  ['http_access', 'allow', LOCATION],
  ['http_auth_basic', 'auth_basic', LOCATION],
  ['http_mirror', 'mirror', LOCATION],
  ['http_autoindex', 'autoindex', LOCATION],
  ['http_geo', 'geo', HTTP],
  ['http_map', 'map', HTTP],
  ['http_split_clients', 'split_clients', HTTP],
  ['http_referer', 'valid_referers', LOCATION],
  ['http_rewrite', 'rewrite', LOCATION],
  ['http_proxy', 'proxy_pass', LOCATION],
  ['http_fastcgi', 'fastcgi_pass', LOCATION],
  ['http_uwsgi', 'uwsgi_pass', LOCATION],
  ['http_scgi', 'scgi_pass', LOCATION],
  ['http_grpc', 'grpc_pass', LOCATION],
  ['http_memcached', 'memcached_pass', LOCATION],
  ['http_tunnel', 'tunnel_pass', LOCATION],
  ['http_limit_conn', 'limit_conn', LOCATION],
  ['http_limit_req', 'limit_req', LOCATION],
  ['http_empty_gif', 'empty_gif', LOCATION],
  ['http_browser', 'ancient_browser', LOCATION],
  ['http_upstream_hash', 'hash', UPSTREAM],
  ['http_upstream_ip_hash', 'ip_hash', UPSTREAM],
  ['http_upstream_least_conn', 'least_conn', UPSTREAM],
  ['http_upstream_least_time', 'least_time', UPSTREAM],
  ['http_upstream_random', 'random', UPSTREAM],
  ['http_upstream_keepalive', 'keepalive', UPSTREAM],
  ['http_upstream_zone', 'zone', UPSTREAM],
  ['http_upstream_sticky', 'sticky', UPSTREAM],
]

/** The same of the stream block. */
const streamOnRequest: typeof onRequest = [
  ['stream_ssl', 'ssl_certificate', STREAM],
  ['stream_realip', 'set_real_ip_from', STREAM],
  ['stream_ssl_preread', 'ssl_preread', STREAM],
]

const streamUsual: typeof onRequest = [
  ['stream_access', 'allow', STREAM],
  ['stream_geo', 'geo', STREAM],
  ['stream_limit_conn', 'limit_conn', STREAM],
  ['stream_map', 'map', STREAM],
  ['stream_pass', 'pass', STREAM_SERVER],
  ['stream_return', 'return', STREAM_SERVER],
  ['stream_set', 'set', STREAM_SERVER],
  ['stream_split_clients', 'split_clients', STREAM],
  ['stream_upstream_hash', 'hash', STREAM_UPSTREAM],
  ['stream_upstream_least_conn', 'least_conn', STREAM_UPSTREAM],
  ['stream_upstream_least_time', 'least_time', STREAM_UPSTREAM],
  ['stream_upstream_random', 'random', STREAM_UPSTREAM],
  ['stream_upstream_zone', 'zone', STREAM_UPSTREAM],
]

const mailOnRequest: typeof onRequest = [['mail_ssl', 'starttls', MAIL]]

const mailUsual: typeof onRequest = [
  ['mail_pop3', 'pop3_auth', MAIL],
  ['mail_imap', 'imap_auth', MAIL],
  ['mail_smtp', 'smtp_auth', MAIL],
]

export function configureLines(registry: Registry): string {
  const has = (directive: string, context: number): boolean => {
    const declared = registry.find(directive, context)
    return declared !== null && declared.later !== true
  }
  const words = [
    '--with-mail',
    '--with-stream',
    ...[...onRequest, ...streamOnRequest, ...mailOnRequest].flatMap(([module, directive, context]) =>
      has(directive, context) ? [`--with-${module}_module`] : [],
    ),
    ...[...usual, ...streamUsual, ...mailUsual].flatMap(([module, directive, context]) =>
      has(directive, context) ? [] : [`--without-${module}_module`],
    ),
    ...(has('proxy_cache', LOCATION) ? [] : ['--without-http-cache']),
  ]
  return `built with OpenSSL ${process.versions.openssl}
TLS SNI support enabled
configure arguments: ${words.join(' ')}
`
}

export function help(name: string): string {
  return `Usage: ${name} [-?hvVtTq] [-s signal] [-p prefix]
             [-e filename] [-c filename] [-g directives]
${name === 'nginx' ? '' : commands(name)}
Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and configure options then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a master process: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: the current folder)
  -e filename   : set error log file (default: logs/error.log)
  -c filename   : set configuration file (default: conf/nginx.conf)
  -g directives : set global directives out of configuration file

`
}

/** What there is besides: nobody who calls the program nginx looks for it. */
function commands(name: string): string {
  return `       ${name} serve [options] MODULE[:VARIABLE]
             serve an application, as "gunicorn" would: see "${name} serve --help"
       ${name} status [-c filename] [--watch]
             show what is running: see "${name} status --help"
       ${name} control [-s socket] [command]
             give commands to a running server, as "gunicornc" would: see "${name} control --help"
       ${name} explain -c filename METHOD URL
             tell what a request would meet: see "${name} explain --help"
`
}
