// The settings of TLS, HTTP/2, task processes, control and hooks.

import { isTaskApp } from '../app.ts'
import { DEFAULT_FRAME_SIZE, FRAME_SIZE_MAX } from '../../codec/h2/constants.ts'
import { SettingError, count, inFile, listed, names, oneOf, single, text, toggle, whole } from './setting.ts'
import type { Setting } from './setting.ts'

/** As ssl.VerifyMode has them. */
function certReqs(word: string): number {
  const mode = count(word)
  if (mode > 2) throw new SettingError('it must be one of 0, 1, 2')
  return mode
}

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
      takes: 'anything',
      about: 'The version of TLS.',
      accepted: 'Gunicorn ignores it too',
    },
    text,
  ),
  cert_reqs: single(
    {
      flags: ['--cert-reqs'],
      value: 'N',
      default: 0,
      about: 'Whether clients show certificates: 0 no, 1 if they have one, 2 always.',
    },
    certReqs,
  ),
  ca_certs: single(
    { flags: ['--ca-certs'], value: 'FILE', default: null, about: "Who certifies clients' certificates." },
    text,
  ),
  suppress_ragged_eofs: {
    ...toggle({
      flags: ['--suppress-ragged-eofs'],
      about: 'Tolerates TLS connections that were cut off.',
      accepted: 'they are told of in the log',
    }),
    default: true,
  },
  do_handshake_on_connect: toggle({
    flags: ['--do-handshake-on-connect'],
    about: 'When TLS begins.',
    accepted: 'a handshake holds nobody up',
  }),
  ciphers: single({ flags: ['--ciphers'], value: 'LIST', default: null, about: 'Ciphers of TLS.' }, text),
}

/** HTTP/1 is spoken to whoever asks for nothing else. */
function protocolNames(word: string): readonly string[] | null {
  const all = names(word).map(name => name.toLowerCase())
  const unknown = all.find(name => name !== 'h1' && name !== 'h2')
  if (unknown === 'h3') throw new SettingError('HTTP/3 is not supported yet')
  if (unknown !== undefined) throw new SettingError(`"${unknown}" is no version of HTTP`)
  if (new Set(all).size < all.length) throw new SettingError('one of them is there twice')
  return all.length === 0 ? null : all
}

const CLEARTEXT = ['off', 'prior-knowledge', 'upgrade', 'both'] as const

/** True and False are for configuration files. */
function cleartextMode(word: string): (typeof CLEARTEXT)[number] {
  return word === 'true' ? 'prior-knowledge' : word === 'false' ? 'off' : oneOf(...CLEARTEXT)(word)
}

function upgradeCaution(mode: (typeof CLEARTEXT)[number]): string {
  if (mode !== 'upgrade' && mode !== 'both') return ''
  return `http2_cleartext ${mode}: "Upgrade: h2c" is not answered (RFC 9113 has no such thing, and Gunicorn's workers do not either)`
}

function frameSize(word: string): number {
  const size = count(word)
  if (size >= DEFAULT_FRAME_SIZE && size <= FRAME_SIZE_MAX) return size
  throw new SettingError(`it must be between ${DEFAULT_FRAME_SIZE} and ${FRAME_SIZE_MAX}`)
}

export const http2Settings = {
  http_protocols: single(
    {
      flags: ['--http-protocols'],
      value: 'NAMES',
      default: null,
      about: 'Versions of HTTP that are offered: "h1", or "h1,h2", which is what is done where nothing is said.',
    },
    protocolNames,
  ),
  http2_cleartext: {
    ...single(
      {
        flags: ['--http2-cleartext'],
        value: 'MODE',
        default: 'off',
        takes: 'text or switch',
        about: 'HTTP/2 without TLS, for those whom --forwarded-allow-ips names: off or prior-knowledge.',
      },
      cleartextMode,
    ),
    caution: upgradeCaution,
  },
  http2_max_concurrent_streams: whole({
    flags: ['--http2-max-concurrent-streams'],
    value: 'N',
    default: 100,
    about: 'Streams of a connection.',
  }),
  http2_initial_window_size: whole({
    flags: ['--http2-initial-window-size'],
    value: 'N',
    default: 65535,
    about: 'The window of a stream.',
  }),
  http2_max_frame_size: single(
    {
      flags: ['--http2-max-frame-size'],
      value: 'N',
      default: DEFAULT_FRAME_SIZE,
      about: 'The longest frame that is taken.',
    },
    frameSize,
  ),
  http2_max_header_list_size: whole({
    flags: ['--http2-max-header-list-size'],
    value: 'N',
    default: 65536,
    about: 'The largest head that is taken, unpacked; 0: what the limits of heads allow.',
  }),
}

function taskApp(word: string): string {
  const name = word.trim()
  if (isTaskApp(name)) return name
  throw new SettingError('a class is needed, as in module:Class, or module:Class:2')
}

export const dirtyArbiters = {
  dirty_apps: listed(
    {
      flags: ['--dirty-app'],
      value: 'CLASS',
      default: [],
      about: 'A class of tasks, module:Class, or module:Class:N for N processes. May be given several times.',
    },
    taskApp,
  ),
  dirty_workers: whole({
    flags: ['--dirty-workers'],
    value: 'N',
    default: 0,
    about: 'How many task processes there are.',
  }),
  dirty_timeout: whole({
    flags: ['--dirty-timeout'],
    value: 'SECONDS',
    default: 300,
    about: 'How long a task may take, or be silent; 0: as long as it likes.',
  }),
  dirty_threads: whole({
    flags: ['--dirty-threads'],
    value: 'N',
    default: 1,
    about: 'Threads of a task process.',
  }),
  dirty_graceful_timeout: whole({
    flags: ['--dirty-graceful-timeout'],
    value: 'SECONDS',
    default: 30,
    about: 'How long tasks may take to finish.',
  }),
}

function controlPath(word: string): string {
  const path = word.trim()
  if (path === '') throw new SettingError('a path is needed')
  return path
}

function controlMode(word: string): number {
  const mode = count(word)
  if (mode > 0o777) throw new SettingError('bits of permissions are needed, as in 0600')
  return mode
}

export const control = {
  control_socket: single(
    {
      flags: ['--control-socket'],
      value: 'PATH',
      default: null,
      about:
        'Where "portico control" gives its commands; without it gunicorn.ctl in $XDG_RUNTIME_DIR, or in ~/.gunicorn.',
    },
    controlPath,
  ),
  control_socket_mode: single(
    { flags: ['--control-socket-mode'], value: 'BITS', default: 0o600, about: 'Who may give them.' },
    controlMode,
  ),
  control_socket_disable: toggle({ flags: ['--no-control-socket'], about: 'Takes no commands.' }),
}

/** Whether there is one: the function itself stays in Python. */
function hook(about: string): Setting<boolean> {
  return inFile({ about, default: false }, value => value === true)
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
  on_dirty_starting: hook('Before task processes start.'),
  dirty_post_fork: hook('After a task process was forked.'),
  dirty_worker_init: hook('In a task process, with its classes loaded.'),
  dirty_worker_exit: hook('When a task process has ended.'),
}
