// What the directive reference says beyond the declarations: a sentence or two for each directive that is ours or differs from
// nginx's, the form of arguments that cannot be told from a parser's answers, and defaults that only words can give (these
// begin with `=`). A key is a name, or `page/name` where a name has several meanings.

export interface Prose {
  /** What stands between the name and the `;`; several forms in a list. */
  readonly args?: string | readonly string[]
  /** null: there is none. */
  readonly standard?: string | null
  readonly text?: string
}

const applications: Readonly<Record<string, Prose>> = {
  app: {
    args: 'NAME',
    text: 'Declares an application that this server runs itself: its workers are started with the server, replaced when they die, and renewed at every reload. `app_pass NAME` sends requests to it. A name has up to 32 letters, digits, `_`, `.` and `-`.',
  },
  'app/directory': {
    args: 'PATH',
    text: 'The folder the application runs in and its modules are looked for in. Required.',
  },
  'app/module': {
    args: ['MODULE', 'MODULE:NAME', 'MODULE:FACTORY(ARGUMENTS)', 'FILE'],
    text: 'What is run. For Python a module and the callable in it, by default `application`; a call with literal arguments makes the application first. For Node a file below `directory`, with its suffix. Required.',
  },
  'app/kind': {
    standard: '=`node` when `module` ends in `.js`, `.mjs`, `.cjs`, `.ts`, `.mts` or `.cts`, otherwise `sync`',
    text: 'How workers serve. `sync`: one WSGI request at a time in each worker. `threads`: so many at a time as `threads` says. `gevent`: WSGI with a greenlet for each request; needs the package gevent, whose patches are made before the application is imported, in each worker. `asgi`: ASGI 3 (HTTP, WebSocket and lifespan) on an event loop, uvloop’s where it is installed. `node`: a Node process that serves many at a time.',
  },
  'app/workers': {
    args: 'NUMBER | NUMBER..NUMBER | auto',
    standard: '=twice the number of processors, plus one',
    text: 'How many processes run the application, at most 1024. With a range there are as many as the first number says, one more each time requests have to wait, up to the second, and one less each second once one has had nothing to do for ten. Not for `kind node`.',
  },
  'app/threads': {
    text: 'Threads of each worker, with `kind threads`.',
  },
  'app/worker_connections': {
    args: 'NUMBER',
    text: 'Requests and WebSockets that a worker of `kind asgi` or `kind gevent` has at a time, at most 1023. The worker that has the fewest is given the next one; when all have so many, requests wait in the `queue`.',
  },
  'app/python': {
    args: 'PATH',
    standard: '=`$PORTICO_PYTHON`, else the interpreter of `$VIRTUAL_ENV`, else `python3`',
    text: 'The interpreter. Name the one of a virtual environment and its packages are there.',
  },
  'app/python_path': {
    args: 'PATH',
    text: 'A further folder to look for modules in.',
  },
  'app/timeout': {
    text: 'How long a worker may take. One that takes longer is killed (a Python worker writes the stacks of its threads to standard error first) and replaced, and its client gets 504. With `sync` it is the whole request that is timed, with `threads` each silence. A Node worker serves others meanwhile: it is killed only when its loop does not turn any more. `0`: no limit.',
  },
  'app/graceful_timeout': {
    text: 'How long workers that are to leave, at a reload or a stop, may take to finish what they serve.',
  },
  'app/max_requests': {
    args: 'NUMBER [jitter=NUMBER]',
    standard: '0',
    text: 'A worker is replaced when it has served so many requests, and up to `jitter` more so that they do not all go together. Its replacement serves before it leaves. `0`: never.',
  },
  'app/max_memory': {
    text: 'A worker that has more memory than this to itself (what it shares with others since they were forked is not counted) is replaced as with `max_requests`, one at a time. It is looked at every two seconds. `0`: no limit.',
  },
  'app/preload': {
    text: 'On, the application is imported once and workers are forked from that, which saves memory and makes a new worker a matter of milliseconds. Off, each worker imports it: for applications that open connections or start threads while they are imported.',
  },
  'app/queue': {
    args: 'NUMBER [timeout=TIME]',
    standard: '1024 timeout=30s',
    text: 'How many requests may wait for a free worker, and how long. One too many, and one that has waited in vain, gets 503 with `Retry-After`.',
  },
  'app/environment': {
    args: 'NAME=VALUE',
    text: 'Sets a variable in the environment of the workers.',
  },
  'app/user': {
    args: 'USER [GROUP]',
    standard: '=the user of the main level',
    text: 'Who the workers run as, when the server is started by root.',
  },
  'app/umask': {
    args: 'BITS',
    standard: '=the mask of the server',
    text: 'The mask for files the workers make, in octal.',
  },
  app_trusted_proxies: {
    args: ['ADDRESS …', '*', 'none'],
    text: 'Whose word applications get for how a client came: addresses and networks of proxies, or everybody. A peer on a Unix socket is always trusted. Without this directive nobody is believed, and the next ones do nothing.',
  },
  app_scheme_header: {
    args: 'FIELD VALUE',
    text: 'A trusted proxy that sends this field with this value says “https” (`wsgi.url_scheme`, ASGI’s `scheme`), with any other value “http”. Fields that contradict each other are answered with 400.',
  },
  app_forwarder_headers: {
    args: ['FIELD …', '*'],
    text: 'Fields with `_` in their names that a trusted proxy may send. `SCRIPT_NAME` among them says where the application is mounted. Needs `underscores_in_headers on`.',
  },
  app_header_map: {
    text: 'What becomes of other fields with `_` in their names, which as variables could not be told from those with `-`: they are left out, refused with 400, or passed on.',
  },
  app_forwarded: {
    text: 'Takes the client’s address, the scheme and the host from trusted proxies: from `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`, or from `Forwarded` (RFC 7239). The address is the last one that is not itself a trusted proxy’s.',
  },
  app_script_name: {
    args: 'PATH',
    text: 'Where applications are mounted: `SCRIPT_NAME`, and what `PATH_INFO` begins behind.',
  },
  app_proxy_protocol_from: {
    args: ['ADDRESS …', '*', 'none'],
    text: 'Who may tell the client’s address by the PROXY protocol or by uwsgi (`listen … proxy_protocol=auto`, `listen … uwsgi`). Others that do are answered with 403.',
  },
  statsd: {
    args: ['ADDRESS [prefix=TEXT] [tags=TEXT]', 'off'],
    text: 'Tells a StatsD server of each request: `gunicorn.requests`, `gunicorn.request.duration` in milliseconds and `gunicorn.request.status.N`, as Gunicorn does. The address is `HOST[:PORT]` or `unix:PATH`; tags are DogStatsD’s.',
  },
  app_pass: {
    args: 'NAME',
    text: 'Sends the requests of this location to an application declared with `app`. A request is given to a worker when all of it has arrived. Sets `$app_name`, `$app_worker` (its pid), `$app_status`, `$app_queue_time` and `$app_time` (seconds).',
  },
  app_buffering: {
    text: 'On, a response is taken from the worker as fast as it makes it and fed to the client at the client’s pace, so that the worker is free at once. Off, each part goes to the client when it is made, at the pace of the client. A response with `X-Accel-Buffering: no` turns it off for itself.',
  },
  app_request_buffering: {
    text: 'On, an application gets a request when all of it is here. Off, it reads the body while the client sends it, and a slow client holds a worker for as long; `timeout` counts.',
  },
  app_server_timing: {
    text: 'Adds a `Server-Timing` field with the milliseconds a request has waited for a worker (`queue`) and the worker has taken (`app`), which browsers show in their developer tools.',
  },
  app_websocket_compression: {
    text: 'Accepts permessage-deflate where a client offers it. Messages of 256 bytes to 64 KB are then sent compressed; no window is kept between messages.',
  },
  app_status: {
    text: 'A page of JSON: for each application its workers with the requests they have and have served, how many requests wait, and counters of all threads: `requests` given to workers, `queued`, `queue_full`, `queue_timeouts`, `timeouts`, `workers_lost`, `failed`, and the sums `queue_ms` and `app_ms`.',
  },
  app_buffers: {
    text: 'How much of a response is kept in memory while the client is slower than the worker. What is more goes to a temporary file.',
  },
  app_max_temp_file_size: {
    text: 'How much of a response may be in a temporary file; then the worker has to wait for the client. `0`: no file.',
  },
  app_temp_path: {
    standard: 'app_temp',
    text: 'The folder for these files.',
  },
}

const main: Readonly<Record<string, Prose>> = {
  'main/user': {
    args: 'USER [GROUP]',
    standard: '=`nobody`, when started by root',
    text: 'Who the front runs as, and the applications unless they name somebody else. Only root can change to another user; otherwise it is ignored with a warning.',
  },
  worker_processes: {
    args: 'NUMBER | auto',
    standard: '1',
    text: 'How many threads of the front take connections; `auto`: one for each processor. They are threads of one process, not processes. The workers of applications are counted in their `app`.',
  },
  pid: {
    args: 'PATH',
    standard: 'logs/nginx.pid',
    text: 'Where the number of the master process is written, and where `-s` looks for it.',
  },
  error_log: {
    args: 'PATH | stderr [debug | info | notice | warn | error | crit | alert | emerg]',
    standard: 'logs/error.log error',
    text: 'The default is what `-e` names. Without a level it is `error`. Nothing is sent to syslog.',
  },
  env: {
    args: ['NAME=VALUE', 'NAME'],
    text: 'Sets a variable for the applications. All variables of the server’s own environment are kept.',
  },
  working_directory: { args: 'PATH' },
  worker_shutdown_timeout: {
    text: 'How long requests of the old configuration may take after a reload, and all of them at a graceful stop. `0`: as long as they need.',
  },
  events: { text: 'Required, even if it is empty.' },
  worker_connections: {
    args: 'NUMBER',
    standard: '512',
    text: 'How many clients’ connections each thread of the front may have. One too many closes the connection that has been idle longest, or is refused.',
  },
  worker_priority: { args: 'NUMBER', standard: '0' },
  use: { args: 'epoll | poll | select', standard: null },
  load_module: { args: 'PATH', text: 'Ignored with a warning: modules are built in.' },
  thread_pool: { args: 'NAME threads=NUMBER [max_queue=NUMBER]' },
  worker_cpu_affinity: { args: ['MASK …', 'auto [MASK]'] },
}

const http: Readonly<Record<string, Prose>> = {
  'core/server': { text: 'A virtual server: which requests it takes is for `listen` and `server_name` to say.' },
  location: {
    args: ['[= | ~ | ~* | ^~] URI', '@NAME'],
    text: 'Settings for the requests whose path it matches.',
  },
  listen: {
    args: ['ADDRESS[:PORT] [default_server] [backlog=NUMBER] [ipv6only=on | off]', 'PORT …', 'unix:PATH …'],
    standard: '=port 80 of all addresses for root, 8000 for anybody else',
    text: '`ssl`, `http2`, `quic` and `proxy_protocol` are refused; `reuseport`, `bind`, `deferred`, `rcvbuf`, `sndbuf` and `so_keepalive` change nothing.',
  },
  server_name: {
    args: 'NAME …',
    standard: '""',
    text: 'Names of the server: exact, with a leading or final `*`, or `~` and a regular expression.',
  },
  root: { args: 'PATH', standard: 'html' },
  alias: { args: 'PATH' },
  types: { standard: '=html, gif and jpeg, as in nginx' },
  default_type: { args: 'TYPE' },
  'core/keepalive_timeout': { args: 'TIME [TIME]', standard: '75s' },
  client_max_body_size: { text: 'A request with a longer body gets 413. `0`: no limit.' },
  client_body_buffer_size: { text: 'A request body longer than this goes to a temporary file.' },
  client_body_temp_path: { args: 'PATH', standard: 'client_body_temp' },
  max_headers: { text: 'How many fields the head of a request may have.' },
  access_log: {
    args: ['PATH [FORMAT [buffer=SIZE] [flush=TIME] [if=CONDITION]]', 'off'],
    standard: 'logs/access.log combined',
    text: 'No variables in the path, no compression, no syslog.',
  },
  log_format: { args: 'NAME [escape=default | json | none] TEXT …', standard: 'combined "…"' },
  add_header: { args: 'NAME VALUE [always]' },
  expires: { args: ['[modified] TIME', 'epoch | max | off'], standard: 'off' },
  return: { args: ['CODE [TEXT]', 'CODE URL', 'URL'] },
  set: { args: '$NAME VALUE' },
  index: { args: 'FILE …', standard: 'index.html' },
  error_page: { args: 'CODE … [=[CODE]] URI' },
  post_action: { args: 'URI | off', standard: 'off' },
  limit_except: { args: 'METHOD …' },
  open_log_file_cache: { args: ['max=NUMBER [inactive=TIME] [min_uses=NUMBER] [valid=TIME]', 'off'], standard: 'off' },
  aio: { args: 'on | off | threads[=POOL]' },
  open_file_cache: { args: ['max=NUMBER [inactive=TIME]', 'off'], standard: 'off' },
}

/** What the gateways' directives have in common. */
function gateway(prefix: string, address: string, what: string): Readonly<Record<string, Prose>> {
  return {
    [`${prefix}_pass`]: {
      args: address,
      text: `Passes requests on to ${what}: an address with a port, \`unix:PATH\` or a group.`,
    },
    [`${prefix}_param`]: { args: 'NAME VALUE [if_not_empty]' },
    [`${prefix}_hide_header`]: { args: 'NAME' },
    [`${prefix}_pass_header`]: { args: 'NAME' },
    [`${prefix}_temp_path`]: { args: 'PATH', standard: `${prefix}_temp` },
    [`${prefix}_max_temp_file_size`]: { standard: '1024m' },
  }
}

const upstreams: Readonly<Record<string, Prose>> = {
  upstream: { args: 'NAME', text: 'A group of servers for `proxy_pass http://NAME`.' },
  'upstream/server': {
    args: 'ADDRESS [weight=NUMBER] [max_conns=NUMBER] [max_fails=NUMBER] [fail_timeout=TIME] [slow_start=TIME] [route=TEXT] [resolve] [service=NAME] [backup] [down | drain]',
    text: 'A name is looked up once, when the configuration is read; with `resolve` it is asked for again and again through `resolver`, and its addresses are the servers. `service` asks for SRV records. `slow_start`: a server that comes back gains its weight in that time. `drain`: it serves only those that `sticky` has bound to it.',
  },
  'upstream/state': {
    text: 'The servers are in that file, and the API’s changes are written to it. Instead of `server`; the group needs a `zone`.',
  },
  'upstream/least_time': { args: 'header | last_byte [inflight]' },
  'upstream/sticky': {
    args: [
      'cookie NAME [expires=TIME | max] [domain=DOMAIN] [path=PATH] [httponly] [secure] [samesite=strict | lax | none]',
      'route $variable …',
      'learn create=$variable lookup=$variable zone=NAME:SIZE [timeout=TIME] [header]',
    ],
  },
  'upstream/queue': {
    args: 'NUMBER [timeout=TIME] [concurrency=NUMBER] [retry_after=TIME]',
    text: 'Requests that no server can take wait, at most NUMBER over all threads and so long (60 s); the rest is answered with 502. With `concurrency` no more than so many requests of the group are passed on at a time; then what there is no room for, or waits too long, is answered with 503 and `Retry-After` (1 s). `$upstream_queue_time` is how long a request has waited.',
  },
  'upstream/keepalive': {
    args: 'NUMBER [local]',
    standard: '32 local',
    text: 'How many idle connections each thread keeps. Without it connections are kept too, each for the location that opened it.',
  },
  proxy_pass: {
    args: 'URL',
    text: 'Passes requests on to `http://` an address, a name, a group, or `http://unix:PATH:`; `https://` is refused.',
  },
  proxy_set_header: { args: 'NAME VALUE' },
  proxy_redirect: { args: ['default', 'off', 'FROM TO'], standard: 'default' },
  proxy_cookie_domain: { args: ['off', 'FROM TO'], standard: 'off' },
  proxy_cookie_path: { args: ['off', 'FROM TO'], standard: 'off' },
  proxy_hide_header: { args: 'NAME' },
  proxy_pass_header: { args: 'NAME' },
  proxy_temp_path: { args: 'PATH', standard: 'proxy_temp' },
  proxy_max_temp_file_size: { standard: '1024m' },
  proxy_cookie_flags: { args: ['off', 'COOKIE FLAG …'], standard: 'off' },
  'upstream/hash': { args: 'KEY [consistent]' },
  'upstream/random': { args: '[two [least_conn | least_time=header | least_time=last_byte]]' },
  'upstream/zone': {
    args: 'NAME [SIZE]',
    text: 'The servers of the group, their weights, failures and statistics lie in memory that all threads share: without it each thread counts its own, and `max_conns` is what one thread may have. It has room for a server in each 512 bytes of SIZE. Servers keep their numbers across a reload; those changed through the API stay as long as the block says the same.',
  },
  health_check: {
    args: '[interval=TIME] [jitter=TIME] [fails=NUMBER] [passes=NUMBER] [uri=URI] [port=NUMBER] [match=NAME] [mandatory [persistent]] [keepalive_time=TIME]',
    text: 'The servers of the group that `proxy_pass` names are asked at intervals (5 s) by one thread; one that fails gets no requests until it passes. The group needs a `zone`.',
  },
  match: {
    args: 'NAME',
    text: 'What a server’s answer must be like: lines `status CODES;` or `status ! CODES;`, `header NAME;`, `header ! NAME;`, `header NAME = VALUE;` (also `!=`, `~`, `!~`), `body ~ PATTERN;` or `body !~ PATTERN;`. All must hold.',
  },
  api: {
    args: '[write=on | off]',
    text: 'Shows connections and groups of servers as JSON, as NGINX Plus does, and with `write=on` adds, changes and removes servers.',
  },
  ...gateway('fastcgi', 'ADDRESS', 'a FastCGI responder'),
  ...gateway('uwsgi', '[uwsgi://]ADDRESS', 'a uWSGI server'),
  ...gateway('scgi', 'ADDRESS', 'an SCGI server'),
  fastcgi_split_path_info: { args: 'PATTERN' },
  fastcgi_catch_stderr: { args: 'TEXT' },
  memcached_pass: { args: 'ADDRESS', text: 'Answers with what memcached has under `$memcached_key`.' },
}

const more: Readonly<Record<string, Prose>> = {
  map: {
    args: 'TEXT $VARIABLE',
    text: 'Lines of a value (or `~` and a regular expression, or `default`) and what the variable then is.',
  },
  geo: { args: '[$ADDRESS] $VARIABLE', text: 'Lines of a network and what the variable then is.' },
  split_clients: {
    args: 'TEXT $VARIABLE',
    text: 'Lines of a share of the clients, in per cent, and what the variable then is.',
  },
  limit_req_zone: { args: 'KEY zone=NAME:SIZE rate=RATE' },
  limit_req: { args: 'zone=NAME [burst=NUMBER] [nodelay | delay=NUMBER]' },
  limit_conn_zone: { args: 'KEY zone=NAME:SIZE' },
  limit_conn: { args: 'ZONE NUMBER' },
  set_real_ip_from: { args: 'ADDRESS | NETWORK | unix:' },
  real_ip_header: { args: 'FIELD' },
  valid_referers: { args: '[none] [blocked] [server_names] NAME …' },
  modern_browser: { args: ['BROWSER VERSION', 'unlisted'] },
  ancient_browser: { args: 'TEXT …' },
}

export const prose: Readonly<Record<string, Prose>> = { ...applications, ...main, ...http, ...more, ...upstreams }
