// The settings of processes: where and as whom they run, and what the server makes of connections and fields.

import {
  inFile,
  names,
  networks,
  oneOf,
  refused,
  single,
  SettingError,
  count,
  listed,
  text,
  toggle,
} from './setting.ts'
import type { FileValue } from './setting.ts'

const STRICT = 'requests are read as nginx reads them, and what it refuses is refused'
const PASTE =
  'PasteDeploy is not supported; name a function that calls paste.deploy.loadapp(), as in "mysite:make_app()"'

function variable(word: string): readonly [name: string, value: string] {
  const equals = word.indexOf('=')
  if (equals <= 0) throw new SettingError('as in NAME=value')
  return [word.slice(0, equals), word.slice(equals + 1)]
}

function proxyProtocol(word: string): 'off' | 'v1' | 'v2' | 'auto' {
  const mode = word.trim().toLowerCase()
  if (['off', 'false', '0', 'none'].includes(mode)) return 'off'
  if (['auto', 'true', '1'].includes(mode)) return 'auto'
  return mode === 'v1' || mode === 'v2' ? mode : wrong('it must be one of off, v1, v2, auto')
}

function fieldsOf(value: FileValue): readonly (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('a dict is needed')
  return Object.entries(value).map(([name, text]) => {
    if (!/^[A-Za-z0-9-]+$/.test(name) || typeof text !== 'string') return wrong(`"${name}" is no field with its value`)
    return [name, text]
  })
}

function wrong(problem: string): never {
  throw new SettingError(problem)
}

export const serverMechanics = {
  preload_app: toggle({
    flags: ['--preload'],
    about: 'Loads the application once before workers are forked, which saves memory and time.',
  }),
  sendfile: toggle({
    flags: ['--no-sendfile'],
    about: 'Does not use sendfile().',
    accepted: 'sendfile() is not used; the front reads files that the application names',
  }),
  reuse_port: toggle({
    flags: ['--reuse-port'],
    about: 'Gives each worker a socket of its own.',
    accepted: 'workers have no listening sockets here',
  }),
  chdir: single(
    {
      flags: ['--chdir'],
      value: 'FOLDER',
      default: null,
      about: "The application's folder, instead of the current one.",
    },
    text,
  ),
  daemon: toggle({ flags: ['-D', '--daemon'], about: 'Goes into the background.' }),
  raw_env: listed<readonly [string, string]>(
    {
      flags: ['-e', '--env'],
      value: 'NAME=VALUE',
      default: [],
      about: "Adds to the application's environment. May be given several times.",
    },
    variable,
  ),
  pidfile: single(
    { flags: ['-p', '--pid'], value: 'FILE', default: null, about: "Where the master's number is written." },
    text,
  ),
  worker_tmp_dir: single(
    {
      flags: ['--worker-tmp-dir'],
      value: 'FOLDER',
      default: null,
      about: 'Where workers keep their heartbeats.',
      accepted: 'workers have no heartbeat files here',
    },
    text,
  ),
  user: single(
    { flags: ['-u', '--user'], value: 'USER', default: null, about: 'Who the front and the workers run as.' },
    text,
  ),
  group: single({ flags: ['-g', '--group'], value: 'GROUP', default: null, about: 'Their group.' }, text),
  umask: single(
    {
      flags: ['-m', '--umask'],
      value: 'BITS',
      default: null,
      about: "What others may not do with a Unix socket and with the workers' files.",
    },
    count,
  ),
  initgroups: toggle({
    flags: ['--initgroups'],
    about: "Adds the user's other groups.",
    accepted: 'they are always set',
  }),
  tmp_upload_dir: inFile<string | null>(
    { about: 'Where requests are kept that are too long for memory.', default: null },
    value => (typeof value === 'string' ? value.trim() : wrong('a path is needed')),
  ),
  secure_scheme_headers: inFile<readonly (readonly [string, string])[]>(
    {
      about: 'Fields, and their values, by which a trusted proxy says "https".',
      default: [
        ['X-FORWARDED-PROTOCOL', 'ssl'],
        ['X-FORWARDED-PROTO', 'https'],
        ['X-FORWARDED-SSL', 'on'],
      ],
    },
    fieldsOf,
  ),
  forwarded_allow_ips: single(
    {
      flags: ['--forwarded-allow-ips'],
      value: 'ADDRESSES',
      default: ['127.0.0.1', '::1'],
      environment: 'FORWARDED_ALLOW_IPS',
      about: 'Proxies whose word is taken for how a client came: addresses and networks by commas, or "*".',
    },
    networks,
  ),
  pythonpath: single(
    {
      flags: ['--pythonpath'],
      value: 'FOLDERS',
      default: [],
      about: 'Folders to look for Python modules in first, by commas.',
    },
    names,
  ),
  paste: refused({
    flags: ['--paste', '--paster'],
    value: 'FILE',
    about: 'Loads the application as a PasteDeploy file says.',
    refused: PASTE,
  }),
  proxy_protocol: single(
    {
      flags: ['--proxy-protocol'],
      value: 'MODE',
      default: 'off',
      optional: 'auto',
      about: "Takes a client's address from the PROXY protocol: off, v1, v2 or auto.",
    },
    proxyProtocol,
  ),
  proxy_allow_ips: single(
    {
      flags: ['--proxy-allow-from'],
      value: 'ADDRESSES',
      default: ['127.0.0.1', '::1'],
      about: 'Who may use the PROXY protocol: addresses and networks by commas, or "*".',
    },
    networks,
  ),
  protocol: single(
    {
      flags: ['--protocol'],
      value: 'NAME',
      default: 'http',
      about: "What is spoken: http, or uwsgi with an nginx's uwsgi_pass.",
    },
    oneOf('http', 'uwsgi'),
  ),
  uwsgi_allow_ips: single(
    {
      flags: ['--uwsgi-allow-from'],
      value: 'ADDRESSES',
      default: ['127.0.0.1', '::1'],
      about: 'Who may speak the uwsgi protocol: addresses and networks by commas, or "*".',
    },
    networks,
  ),
  raw_paste_global_conf: refused({
    flags: ['--paste-global'],
    value: 'NAME=VALUE',
    about: 'Variables for PasteDeploy.',
    refused: PASTE,
  }),
  permit_obsolete_folding: toggle({
    flags: ['--permit-obsolete-folding'],
    about: 'Takes folded header fields.',
    warned: STRICT,
  }),
  strip_header_spaces: toggle({
    flags: ['--strip-header-spaces'],
    about: 'Takes blanks before the colon of a field.',
    warned: STRICT,
  }),
  permit_unconventional_http_method: toggle({
    flags: ['--permit-unconventional-http-method'],
    about: 'Takes methods that are no words in capitals.',
    warned: STRICT,
  }),
  permit_unconventional_http_version: toggle({
    flags: ['--permit-unconventional-http-version'],
    about: 'Takes versions of HTTP that do not exist.',
    warned: STRICT,
  }),
  casefold_http_method: toggle({
    flags: ['--casefold-http-method'],
    about: 'Makes methods capitals.',
    warned: STRICT,
  }),
  forwarder_headers: single(
    {
      flags: ['--forwarder-headers'],
      value: 'NAMES',
      default: ['SCRIPT_NAME', 'PATH_INFO'],
      about: 'Fields with "_" in their names that trusted proxies may send, by commas.',
    },
    names,
  ),
  header_map: single(
    {
      flags: ['--header-map'],
      value: 'MODE',
      default: 'drop',
      about: 'What is done with other fields that have a "_" in their names: drop, refuse or dangerous.',
    },
    oneOf('drop', 'refuse', 'dangerous'),
  ),
  root_path: single(
    { flags: ['--root-path'], value: 'PATH', default: '', about: 'Where an ASGI application is mounted (root_path).' },
    text,
  ),
}
