// The settings of TLS, HTTP/2, task processes, control and hooks.

import { countAbove, inFile, oneOf, refused, SettingError, single, text, toggle } from './setting.ts'
import type { Setting } from './setting.ts'

const HTTP2 = 'it is what HTTP/2 says where nothing else is agreed on'
const TASKS = 'task processes ("dirty arbiters") are not supported'
const CONTROL = 'there is no control socket yet'

export const ssl = {
  keyfile: single(
    { flags: ['--keyfile'], value: 'FILE', default: null, about: "The certificate's private key." },
    text,
  ),
  certfile: single(
    { flags: ['--certfile'], value: 'FILE', default: null, about: 'The certificate: with it, TLS is spoken.' },
    text,
  ),
  ssl_version: single(
    {
      flags: ['--ssl-version'],
      value: 'NAME',
      default: null,
      about: 'The version of TLS.',
      accepted: 'Gunicorn ignores it too',
    },
    text,
  ),
  cert_reqs: single(
    {
      flags: ['--cert-reqs'],
      value: 'N',
      default: '0',
      about: 'Whether clients show certificates: 0 no, 1 if they have one, 2 always.',
    },
    oneOf('0', '1', '2'),
  ),
  ca_certs: single(
    { flags: ['--ca-certs'], value: 'FILE', default: null, about: "Who certifies clients' certificates." },
    text,
  ),
  suppress_ragged_eofs: toggle({
    flags: ['--suppress-ragged-eofs'],
    about: 'Tolerates TLS connections that were cut off.',
    accepted: 'they are told of in the log',
  }),
  do_handshake_on_connect: toggle({
    flags: ['--do-handshake-on-connect'],
    about: 'When TLS begins.',
    accepted: 'a handshake holds nobody up',
  }),
  ciphers: single({ flags: ['--ciphers'], value: 'LIST', default: null, about: 'Ciphers of TLS.' }, text),
}

/** HTTP/1 is spoken to whoever asks for nothing else. */
function protocolNames(word: string): readonly string[] {
  const names = word.split(',').map(name => name.trim())
  const unknown = names.find(name => name !== 'h1' && name !== 'h2')
  if (unknown === 'h3') throw new SettingError('HTTP/3 is not supported yet')
  if (unknown !== undefined) throw new SettingError(`"${unknown}" is no version of HTTP`)
  return names
}

function http2(flag: string, value: string, about: string): ReturnType<typeof refused> {
  return refused({ flags: [flag], value: 'N', default: value, harmless: [value], about, refused: HTTP2 })
}

export const http2Settings = {
  http_protocols: single(
    {
      flags: ['--http-protocols'],
      value: 'NAMES',
      default: null,
      about:
        'Versions of HTTP that are offered over TLS: "h1", or "h1,h2", which is what is done where nothing is said.',
    },
    protocolNames,
  ),
  http2_cleartext: refused({
    flags: ['--http2-cleartext'],
    value: 'MODE',
    default: 'off',
    harmless: ['off'],
    about: 'HTTP/2 without TLS.',
    refused: HTTP2,
  }),
  http2_max_concurrent_streams: single(
    { flags: ['--http2-max-concurrent-streams'], value: 'N', default: 100, about: 'Streams of a connection.' },
    countAbove(1),
  ),
  http2_initial_window_size: single(
    { flags: ['--http2-initial-window-size'], value: 'N', default: 65535, about: 'The window of a stream.' },
    countAbove(1),
  ),
  http2_max_frame_size: http2('--http2-max-frame-size', '16384', 'The largest frame.'),
  http2_max_header_list_size: http2('--http2-max-header-list-size', '65536', 'The largest head.'),
}

export const dirtyArbiters = {
  dirty_apps: refused({ flags: ['--dirty-app'], value: 'CLASS', about: 'A task application.', refused: TASKS }),
  dirty_workers: refused({
    flags: ['--dirty-workers'],
    value: 'N',
    default: '0',
    harmless: ['0'],
    about: 'How many task processes there are.',
    refused: TASKS,
  }),
  dirty_timeout: refused({
    flags: ['--dirty-timeout'],
    value: 'SECONDS',
    default: '300',
    about: 'How long a task may take.',
    refused: TASKS,
  }),
  dirty_threads: refused({
    flags: ['--dirty-threads'],
    value: 'N',
    default: '1',
    about: 'Threads of a task process.',
    refused: TASKS,
  }),
  dirty_graceful_timeout: refused({
    flags: ['--dirty-graceful-timeout'],
    value: 'SECONDS',
    default: '30',
    about: 'How long tasks may take to finish.',
    refused: TASKS,
  }),
}

export const control = {
  control_socket: refused({
    flags: ['--control-socket'],
    value: 'PATH',
    default: 'gunicorn.ctl',
    about: 'Where the server takes commands.',
    refused: CONTROL,
  }),
  control_socket_mode: refused({
    flags: ['--control-socket-mode'],
    value: 'BITS',
    default: '0600',
    about: 'Who may give them.',
    refused: CONTROL,
  }),
  control_socket_disable: toggle({
    flags: ['--no-control-socket'],
    about: 'Takes no commands.',
    accepted: CONTROL,
  }),
}

/** Whether there is one: the function itself stays in Python. */
function hook(about: string): Setting<boolean> {
  return inFile({ about, default: false }, value => value === true)
}

function taskHook(about: string): ReturnType<typeof refused> {
  return refused({ about, refused: TASKS })
}

export const serverHooks = {
  on_starting: hook('Before the master starts.'),
  on_reload: hook('When a reload begins.'),
  when_ready: hook('When the master listens.'),
  pre_fork: hook('Before a worker is forked.'),
  post_fork: hook('In the worker, after it was forked.'),
  post_worker_init: hook('In the worker, with the application loaded.'),
  worker_int: hook('When a worker gets INT or QUIT.'),
  worker_abort: hook('When a worker gets ABRT.'),
  pre_exec: hook('Before a new master takes over.'),
  pre_request: hook('Before a request.'),
  post_request: hook('After a request.'),
  child_exit: hook('In the master, when a worker has ended.'),
  worker_exit: hook('In the worker, before it ends.'),
  nworkers_changed: hook('When the number of workers changes.'),
  on_exit: hook('Before the master ends.'),
  ssl_context: hook('Makes the TLS context.'),
}

export const dirtyArbiterHooks = {
  on_dirty_starting: taskHook('Before task processes start.'),
  dirty_post_fork: taskHook('In a task process, after it was forked.'),
  dirty_worker_init: taskHook('In a task process, with its applications loaded.'),
  dirty_worker_exit: taskHook('When a task process ends.'),
}
