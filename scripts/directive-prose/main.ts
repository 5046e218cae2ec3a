// The program as a whole: the main level and `events`, and what is accepted for the sake of existing files alone.

import type { Texts, VariableTexts } from './prose.ts'

export const main: Texts = {
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
    args: 'PATH | stderr | syslog:PARAMETERS [debug | info | notice | warn | error | crit | alert | emerg]',
    standard: 'logs/error.log error',
    text: 'Where messages go, and from which level on (`error`). The default is what `-e` names; an inner block that has any does without those outside. For `syslog:server=ADDRESS[,facility=NAME][,tag=NAME][,nohostname]` the address is a host with an optional port (514, UDP) or `unix:PATH`. There are few messages of level `debug`.',
  },
  daemon: {
    text: 'Whether the program detaches itself from its terminal. Turn it off under a service manager that watches the process it has started.',
  },
  env: {
    args: ['NAME=VALUE', 'NAME'],
    text: 'Sets a variable for the applications. All variables of the server’s own environment are kept.',
  },
  control_socket: {
    args: 'PATH [mode=0600] [optional]',
    standard: null,
    text: 'The Unix socket that `portico control` gives its commands on, and Gunicorn’s `gunicornc`: it shows workers, adds and ends them, reloads, shuts down. Who may write to the file may do all of that: the user the program was started by, unless `mode` says more. Its folder is made if need be. A file that a dead process has left is replaced; a socket that another server listens on, and what is no socket, stay. That it cannot be had is told in the error log, with `optional` as a notice, and prevents nothing. Without the directive there is none; `portico serve` writes it.',
  },
  working_directory: {
    args: 'PATH',
    text: 'The folder the front’s process changes to, for core dumps. Paths of the configuration do not depend on it.',
  },
  worker_priority: {
    args: 'NUMBER',
    standard: '0',
    text: 'The front’s scheduling priority as with nice(1): from -20, which needs root, to 19 for those who come last.',
  },
  worker_cpu_affinity: {
    args: ['MASK …', 'auto [MASK]'],
    text: 'The processors that each thread of the front runs on: a mask of binary digits for each, of which the last stands for the first processor; threads beyond have the last mask. `auto` gives each one processor in turn, of all or of those in the mask.',
  },
  worker_rlimit_core: {
    text: 'How large a core file of the front may be (RLIMIT_CORE). A front that is not root any more leaves one only where this is set: other processes of its user may then read its memory, too.',
  },
  worker_rlimit_nofile: {
    args: 'NUMBER',
    standard: '=the limit the program was started with',
    text: 'How many files and sockets the front may have open (RLIMIT_NOFILE). It is one limit for all threads, since they are one process.',
  },
  worker_shutdown_timeout: {
    text: 'How long requests of the old configuration may take after a reload, and all of them at a graceful stop. `0`: as long as they need.',
  },
  events: { text: 'The block for what concerns connections of all kinds. Required, even if it is empty.' },
  stream: {
    text: 'The block with servers that pass TCP connections and UDP datagrams on without looking into them.',
  },
  'events/worker_connections': {
    args: 'NUMBER',
    standard: '512',
    text: 'How many connections each thread of the front may have: those of clients of `http` and `stream`, and those to upstreams. When no more than a sixteenth of them is left, clients’ connections that have been idle longest are closed, an eighth of the idle ones but at most 32 at a time; where clients have none, the longest idle one to an upstream. Where none is idle, a client is refused, and a request that would need a connection to an upstream is answered with 500.',
  },
  use: { args: 'epoll | poll | select', standard: null },
  load_module: { args: 'PATH', text: 'Ignored with a warning: modules are built in.' },
  thread_pool: { args: 'NAME threads=NUMBER [max_queue=NUMBER]' },
  lock_file: { args: 'PATH' },
  debug_connection: { args: 'ADDRESS | NETWORK | unix:' },
  directio: { args: 'SIZE | off', standard: 'off' },
  postpone_output: {
    text: 'With `0` the head of an upstream’s response does not wait for its body; otherwise, where `proxy_buffering` and its like are on, it does in HTTP/1, and never in HTTP/2. Of bodies nginx keeps back what is less than this until more comes, or the end. Here nothing is kept back: of a page whose later parts are slow (`ssi`, an upstream that sends little by little) the client has the first ones sooner, and small chunks that one read from an upstream has brought leave in one piece.',
  },
  quic_host_key: { args: 'PATH' },
  http2_recv_timeout: { args: 'TIME', standard: null },
  http2_idle_timeout: { args: 'TIME', standard: null },
  http2_max_requests: { args: 'NUMBER', standard: null },
  http2_max_field_size: { args: 'SIZE', standard: null },
  http2_max_header_size: { args: 'SIZE', standard: null },
  http2_max_concurrent_pushes: { args: 'NUMBER', standard: null },
  http2_push: { args: 'URI | off', standard: null },
  http2_push_preload: { args: 'on | off', standard: null },
}

export const laterVariables: VariableTexts = {
  http3: 'Empty: there is no HTTP/3 yet.',
  quic: 'Empty: there is no QUIC yet.',
}
