// The settings of processes: where and as whom they run, and what the server makes of connections and fields.

import {
  inFile,
  names,
  networks,
  oneOf,
  several,
  single,
  SettingError,
  count,
  listed,
  text,
  toggle,
} from './setting.ts'
import { isToken } from '../../codec/h1/fields.ts'
import { isTrue } from './file-values.ts'
import type { FileValue } from './setting.ts'

function variable(word: string): readonly [name: string, value: string] {
  const said = word.trim()
  const equals = said.indexOf('=')
  if (equals <= 0) throw new SettingError('as in NAME=value')
  return [said.slice(0, equals), said.slice(equals + 1)]
}

/** `\=` is a "=" of the name, or of the value. */
function globalVariable(word: string): readonly [name: string, value: string] {
  const [, name, value] = /^(.*?)(?<!\\)=(.*)$/s.exec(word.trim()) ?? []
  if (name === undefined || value === undefined) throw new SettingError('as in NAME=value')
  return [name.replaceAll('\\=', '='), value.replaceAll('\\=', '=')]
}

function proxyProtocol(word: string): 'off' | 'v1' | 'v2' | 'auto' {
  const mode = word.trim().toLowerCase()
  if (['off', 'false', '0', 'none'].includes(mode)) return 'off'
  if (['auto', 'true', '1'].includes(mode)) return 'auto'
  return mode === 'v1' || mode === 'v2' ? mode : wrong('it must be one of off, v1, v2, auto')
}

function fieldsOf(value: FileValue): readonly (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('a dict is needed')
  const { python } = value as { readonly [name: string]: FileValue }
  if (python === 'function' || python === 'object' || python === 'bytes') return wrong('a dict is needed')
  return Object.entries(value).map(([name, text]) => {
    if (!isToken(name) || typeof text !== 'string') return wrong(`"${name}" is no field with its value`)
    return [name, text]
  })
}

function wrong(problem: string): never {
  throw new SettingError(problem)
}

/** Whatever is said of it turns it off. */
function asIfOff(value: FileValue): boolean {
  if (value === null) return true
  if (typeof value !== 'boolean') isTrue(typeof value === 'string' ? value : '')
  return false
}

export const serverMechanics = {
  preload_app: toggle({
    flags: ['--preload'],
    about: 'Loads the application once before workers are forked, which saves memory and time.',
  }),
  // Off where anything is said of it: Gunicorn's, too.
  sendfile: {
    ...toggle({
      flags: ['--no-sendfile'],
      about: 'Does not use sendfile().',
      accepted: 'sendfile() is not used; the front reads files that the application names',
    }),
    default: true,
    read: () => false,
    readValue: asIfOff,
  },
  reuse_port: toggle({
    flags: ['--reuse-port'],
    about: 'Lets other servers listen on the same port.',
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
    {
      flags: ['-u', '--user'],
      value: 'USER',
      default: null,
      takes: 'text or number',
      about: 'Who the front and the workers run as.',
    },
    text,
  ),
  group: single(
    { flags: ['-g', '--group'], value: 'GROUP', default: null, takes: 'text or number', about: 'Their group.' },
    text,
  ),
  umask: single(
    {
      flags: ['-m', '--umask'],
      value: 'BITS',
      default: null,
      takes: 'number',
      about: 'What others may not do with a Unix socket.',
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
    value => (value === null ? null : typeof value === 'string' ? value.trim() : wrong('a path is needed')),
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
  forwarded_allow_ips: several(
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
  paste: single(
    {
      flags: ['--paste', '--paster'],
      value: 'FILE[#NAME]',
      default: null,
      about: 'Loads the application as this ini file says, with PasteDeploy.',
    },
    text,
  ),
  proxy_protocol: single(
    {
      flags: ['--proxy-protocol'],
      value: 'MODE',
      default: 'off',
      optional: 'auto',
      takes: 'text or switch',
      about: "Takes a client's address from the PROXY protocol: off, v1, v2 or auto.",
    },
    proxyProtocol,
  ),
  proxy_allow_ips: several(
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
  uwsgi_allow_ips: several(
    {
      flags: ['--uwsgi-allow-from'],
      value: 'ADDRESSES',
      default: ['127.0.0.1', '::1'],
      about: 'Who may speak the uwsgi protocol: addresses and networks by commas, or "*".',
    },
    networks,
  ),
  raw_paste_global_conf: listed<readonly [string, string]>(
    {
      flags: ['--paste-global'],
      value: 'NAME=VALUE',
      default: [],
      about: 'A variable for the ini file. May be given several times.',
    },
    globalVariable,
  ),
  permit_obsolete_folding: toggle({
    flags: ['--permit-obsolete-folding'],
    about: 'Takes fields that go on in the next line.',
  }),
  strip_header_spaces: toggle({
    flags: ['--strip-header-spaces'],
    about: 'Takes blanks before the colon of a field. Unsafe behind a proxy.',
  }),
  permit_unconventional_http_method: toggle({
    flags: ['--permit-unconventional-http-method'],
    about: 'Takes any token for a method, of any length.',
  }),
  permit_unconventional_http_version: toggle({
    flags: ['--permit-unconventional-http-version'],
    about: 'Takes versions such as HTTP/2.0 and HTTP/0.9 in a request line.',
  }),
  casefold_http_method: toggle({
    flags: ['--casefold-http-method'],
    about: 'Makes methods capitals.',
  }),
  forwarder_headers: several(
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
