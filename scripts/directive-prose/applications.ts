// The applications that the server runs itself, and what watches them: `app`, `app_pass`, `app_status`, whose word they get
// for a client's address, and `statsd`.

import type { Texts, VariableTexts } from './prose.ts'

export const applications: Texts = {
  app: {
    args: 'NAME',
    text: 'Declares an application that this server runs itself: its workers are started with the server, replaced when they die, and renewed at every reload. `app_pass NAME` sends requests to it. A name has up to 32 letters, digits, `_`, `.` and `-`.',
  },
  'app/directory': {
    args: 'PATH',
    text: 'The folder the application runs in and its modules are looked for in. Required.',
  },
  'app/module': {
    args: ['MODULE', 'MODULE:NAME', 'MODULE:FACTORY(ARGUMENTS)', 'config:/FILE[#NAME]', 'FILE'],
    text: 'What is run. For Python a module and the callable in it, by default `application`; a call with literal arguments makes the application first, and so does PasteDeploy of an ini file by its path. For Node a file below `directory`, with its suffix. Required.',
  },
  'app/arguments': {
    args: 'WORD …',
    text: 'For `kind node`: the words that the program finds behind its own name on its command line (`process.argv`), as in `module node_modules/next/dist/bin/next; arguments start;`. `portico serve` takes them from behind `--`. Options of Node itself are not among them: see `node_options`.',
  },
  'app/node_options': {
    args: '-OPTION …',
    text: 'For `kind node`: options of Node itself, those that `NODE_OPTIONS` refuses among them, as in `node_options --env-file=.env --expose-gc;`. Relative paths are below `directory`.',
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
    text: 'Requests and WebSockets that a worker of `kind asgi` or `kind gevent` has at a time, at most 65535. The worker that has the fewest is given the next one; when all have so many, requests wait in the `queue`.',
  },
  'app/wait_ready': {
    text: "For `kind node`: a worker is given requests when the program says that it is ready, `process.send('ready')` or a message whose `ready` is true, and not as soon as it listens. For programs that listen first and show that they are coming until they can serve (Ghost), and those written for `wait_ready` of pm2: a reload then leaves the old workers in place until the new ones can do their work.",
  },
  'app/paste_global': {
    args: 'NAME VALUE',
    text: 'A variable for the ini file that `module` names (PasteDeploy’s `global_conf`).',
  },
  'app/lifespan_state': {
    text: 'What each request of `kind asgi` is given as `scope["state"]`: a shallow copy of what the lifespan startup has put there, as the specification has it, or `shared`, the same dict for all requests of a worker, as Gunicorn has it. With `shared` one request sees what another has left there, Starlette’s `request.state` included.',
  },
  'app/wsgi_errors': {
    text: 'What a WSGI application writes to `wsgi.errors` (Flask’s log by default): each piece of whole lines an entry of the error log at level `error`, with the request it belongs to (`log`), or its lines as they are, whatever the level (`plain`), in the `error_log` of the main context: for lines of JSON, which stay such. `portico serve` has `plain`, as Gunicorn.',
  },
  'app/python': {
    args: 'PATH',
    standard: '=`$PORTICO_PYTHON`, else the interpreter of `$VIRTUAL_ENV`, else `python3`',
    text: 'The interpreter. Name the one of a virtual environment and its packages are there. A name without `/` is looked for in `PATH`, and a relative path is below the prefix.',
  },
  'app/python_path': {
    args: 'PATH',
    text: 'A further folder to look for modules in.',
  },
  'app/timeout': {
    text: 'How long a worker may take. One that takes longer is killed (a Python worker writes the stacks of its threads to standard error first) and replaced, and its client gets 504. With `sync` it is the whole request that is timed, with `threads` each silence. A Node worker serves others meanwhile: it is killed only when its loop does not turn any more. `0`: no limit. To load the application may take longer, as long as it needs: that is logged, and a worker killed for it only where others have needed less than a tenth of that time.',
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
  'app/prefetch': {
    args: ['TIME', 'off'],
    standard: '2ms',
    text: 'For `kind sync`: how much work may be sent ahead to a worker that is at a request, so that it goes on with the next one at once. How many requests that are follows from the time they have taken of late: none where one takes longer than this. What a worker has not begun is taken back when it is at one request for more than 5 to 10 ms, and when it dies. While requests are sent ahead, no more workers are at work than there are processors if all they do is compute, and the front collects responses for up to 1 ms if it has nothing else to do.',
  },
  'app/sticky': {
    args: [
      'cookie NAME [expires=TIME | max] [domain=DOMAIN] [path=PATH] [httponly] [secure] [samesite=strict | lax | none]',
      'hash $VARIABLE',
      'learn create=$VARIABLE … lookup=$VARIABLE … zone=NAME:SIZE [timeout=TIME] [header]',
    ],
    text: 'For `kind asgi`, `gevent` and `node`: requests of one client go to the same worker, as applications need it that keep a session in memory (Socket.IO’s polling). With `cookie` each client is given one that names its worker; the parameters are those of [sticky](upstream.md#sticky) in an `upstream`: `expires=`, `domain=`, `httponly`, `secure`, `samesite=` and `path=`. With `hash` they go by a text with variables, as in `sticky hash $remote_addr`; where it is empty they go to any. With `learn` a session belongs to the worker whose response has named it, in `create`, for as long as requests with that name, in `lookup`, come within `timeout` (10 minutes): `sticky learn create=$upstream_http_mcp_session_id lookup=$http_mcp_session_id zone=sessions:1m header` is for MCP servers; Python’s workers are always learnt from as soon as the head has come. Who takes a worker’s place takes its clients too, and all others keep theirs. One that has `worker_connections` requests already leaves further ones to others, and its clients come back. Where `workers` is a range, what a worker knows is lost when it is no longer needed.',
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
  'app/dirty_app': {
    args: 'MODULE:CLASS[:NUMBER]',
    text: 'A class of tasks, as Gunicorn’s “dirty” applications are, for what takes long or needs what takes long to load. It is made once in each of a second pool of processes, and the application asks for its work with `gunicorn.dirty`. With a number, or the class attribute `workers`, only so many processes have it. May be given several times. Not for `kind node`.',
  },
  'app/dirty_workers': {
    args: 'NUMBER',
    text: 'How many processes there are for tasks, at most 1024; 0: none.',
  },
  'app/dirty_threads': {
    args: 'NUMBER',
    text: 'Tasks that one of these processes does at a time, each in a thread of its own, at most 256. With one it is the main thread.',
  },
  'app/dirty_timeout': {
    text: 'How long a task may take, or how long it may be silent once it yields values; so long, too, it waits for a process that is free. Then who has asked gets `DirtyTimeoutError`, the process writes the stacks of its threads to standard error, ends and is replaced. `0` for any time.',
  },
  'app/dirty_graceful_timeout': {
    text: 'How long tasks may take to finish when their process is to end.',
  },
  'app/dirty_queue': {
    args: 'NUMBER',
    text: 'How many tasks may wait for a process; the next gets a `DirtyError`.',
  },
  'app/dirty_stash_size': {
    text: 'The memory that all tables of the stash may take, names and what keeps them in order included. What does not fit is refused with a `StashError`.',
  },
  'app/umask': {
    args: 'BITS',
    standard: '=the mask of the server',
    text: 'The mask for files the workers make, in octal.',
  },
  app_trusted_proxies: {
    args: ['ADDRESS …', '*', 'none'],
    text: 'Whose word applications get for how a client came: addresses and networks of proxies, or everybody. A peer on a Unix socket is always trusted. The peer is who has connected, whatever `set_real_ip_from` makes of its address. Without this directive nobody is believed, and the next ones do nothing.',
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
    text: 'Takes the client’s address, the scheme and the host from trusted proxies: from `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`, or from `Forwarded` (RFC 7239). The address is the last one that is not itself a trusted proxy’s; one that `set_real_ip_from` has found stays.',
  },
  app_script_name: {
    args: 'PATH',
    text: 'Where the application is mounted, as in `location /shop/ { app_pass shop; app_script_name /shop; }`: `SCRIPT_NAME`, and what `PATH_INFO` begins behind; for `kind asgi` it is `root_path`. A trusted proxy may name another path (`app_forwarder_headers`). Not for `kind node`.',
  },
  app_proxy_protocol_from: {
    args: ['ADDRESS …', '*', 'none'],
    text: 'Who may tell the client’s address by the PROXY protocol or by uwsgi (`listen … proxy_protocol=auto`, `listen … uwsgi`). Others that do are answered with 403.',
  },
  statsd: {
    args: ['ADDRESS [prefix=TEXT] [tags=TEXT] [backlog]', 'off'],
    standard: 'off',
    text: 'Tells a StatsD server of each request: `gunicorn.requests`, `gunicorn.request.duration` in milliseconds and `gunicorn.request.status.N`, as Gunicorn does. The address is `HOST[:PORT]` or `unix:PATH`; tags are DogStatsD’s. With `backlog` it is told each second how many wait, `gunicorn.backlog`: connections that have not been accepted, of TCP, and requests that no worker has begun.',
  },
  app_pass: {
    args: 'NAME',
    text: 'Sends the requests of this location to an application declared with `app`. A request is given to a worker when all of it has arrived.',
  },
  app_accel: {
    text: 'On, what an application says to nginx is done: `X-Accel-Redirect`, `X-Accel-Limit-Rate`, `X-Accel-Charset` and `X-Accel-Buffering`, and the client does not see it. Off, the fields go on, for an nginx that is before this server; `X-Accel-Buffering` is heard all the same. `portico serve` has it off.',
  },
  app_buffering: {
    text: 'On, a response is taken from the worker as fast as it makes it and fed to the client at the client’s pace, so that the worker is free at once. Off, each part goes to the client when it is made, at the pace of the client. A response with `X-Accel-Buffering: no` turns it off for itself.',
  },
  app_hide_header: {
    args: 'FIELD',
    text: 'A field of responses that does not go on to the client. A block’s own list replaces the one outside.',
  },
  app_ignore_headers: {
    text: 'Fields of responses by which an application could tell this server what to do, and that are not obeyed: internal redirects (`X-Accel-Redirect`), speed, buffering and charset (`X-Accel-…`), and what decides on caching (`app_cache`). Those that begin with `X-Accel-` do not go on to the client either, unless `app_accel` is off.',
  },
  app_intercept_errors: {
    text: 'Whether responses of an application with a status of 300 and more are replaced where `error_page` names a page for them.',
  },
  app_request_buffering: {
    text: 'On, an application gets a request when all of it is here. Off, it reads the body while the client sends it, and a slow client holds a worker for as long; `timeout` counts.',
  },
  app_server_timing: {
    text: 'Adds a `Server-Timing` field with the milliseconds a request has waited for a worker (`queue`) and the worker has taken (`app`), which browsers show in their developer tools.',
  },
  app_set_header: {
    args: 'FIELD VALUE',
    text: 'A field of the request as the application gets it, in place of what the client has sent under that name. The value may have variables; an empty one takes the field away. As with `proxy_set_header`, a level with such directives does not inherit those above it. Not needed for the client’s address and the scheme, which the application has in `REMOTE_ADDR` and `wsgi.url_scheme`.',
  },
  app_websocket_compression: {
    text: 'Accepts permessage-deflate where a client offers it. Messages of 256 bytes to 64 KB are then sent compressed; no window is kept between messages.',
  },
  app_status: {
    text: 'A page of JSON: for each application its workers with the requests they have and have served, how many requests wait, and counters of all threads: `requests` given to workers, `queued`, `queue_full`, `queue_timeouts`, `timeouts`, `workers_lost`, `failed`, the sums `queue_ms` and `app_ms`, and requests sent ahead (`prefetched`) and taken back from a worker that was slow or gone (`taken_back`). A queue is for `kind node` only what waits for its first worker.',
  },
  app_buffers: {
    text: 'How much of a response is kept in memory while the client is slower than the worker. What is more goes to a temporary file.',
  },
  app_max_temp_file_size: {
    text: 'How much of a response may be in a temporary file; then the worker has to wait for the client. `0`: no file.',
  },
  app_temp_path: {
    standard: 'app_temp',
    text: 'The folder for responses of applications that are too long for memory.',
  },
}

export const applicationVariables: VariableTexts = {
  app_name: 'The name of the `app` that was asked.',
  app_worker: 'The process id of the worker that had the request.',
  app_status: 'The status that the worker answered with.',
  app_queue_time: 'Seconds the request has waited for a worker.',
  app_time: 'Seconds the worker has had the request, up to now if it still has.',
  request_time_s: 'Whole seconds since the request began.',
  request_time_ms: 'Milliseconds since the request began.',
  request_time_us:
    'Microseconds since the request began: counted as such where a `log_format` has this variable or the next, or `statsd` is there; elsewhere no finer than a millisecond.',
  request_time_precise: 'The same in seconds, with six digits behind the point.',
}
