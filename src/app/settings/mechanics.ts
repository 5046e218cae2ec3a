// The settings of processes: where and as whom they run, and what the server makes of connections and fields.

import { names, refused, single, SettingError, count, listed, text, toggle } from './setting.ts'

const STRICT = 'requests are read as nginx reads them'
const FORWARDED = 'what a proxy says in header fields is not believed yet: wsgi.url_scheme is that of the connection'
const PASTE = 'PasteDeploy is not supported'

function variable(word: string): readonly [name: string, value: string] {
  const equals = word.indexOf('=')
  if (equals <= 0) throw new SettingError('as in NAME=value')
  return [word.slice(0, equals), word.slice(equals + 1)]
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
  tmp_upload_dir: refused({ about: 'Where requests are kept.', refused: 'it needs a configuration file in Python' }),
  secure_scheme_headers: refused({ about: 'Fields that say "https".', refused: FORWARDED }),
  forwarded_allow_ips: refused({
    flags: ['--forwarded-allow-ips'],
    value: 'ADDRESSES',
    default: '127.0.0.1,::1',
    environment: 'FORWARDED_ALLOW_IPS',
    harmless: [''],
    about: 'Proxies whose word is taken for how a client came.',
    refused: FORWARDED,
  }),
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
  proxy_protocol: refused({
    flags: ['--proxy-protocol'],
    value: 'MODE',
    default: 'off',
    harmless: ['off', 'false', '0', 'none'],
    about: 'Expects the PROXY protocol.',
    refused: 'the PROXY protocol is not supported yet',
  }),
  proxy_allow_ips: single(
    {
      flags: ['--proxy-allow-from'],
      value: 'ADDRESSES',
      default: ['127.0.0.1', '::1'],
      about: 'Who may use the PROXY protocol.',
      accepted: 'the PROXY protocol is off',
    },
    names,
  ),
  protocol: refused({
    flags: ['--protocol'],
    value: 'NAME',
    default: 'http',
    harmless: ['http'],
    about: 'The protocol that is spoken.',
    refused: 'only HTTP is spoken',
  }),
  uwsgi_allow_ips: single(
    {
      flags: ['--uwsgi-allow-from'],
      value: 'ADDRESSES',
      default: ['127.0.0.1', '::1'],
      about: 'Who may speak the uwsgi protocol.',
      accepted: 'the uwsgi protocol is not spoken',
    },
    names,
  ),
  raw_paste_global_conf: refused({
    flags: ['--paste-global'],
    value: 'NAME=VALUE',
    about: 'Variables for PasteDeploy.',
    refused: PASTE,
  }),
  permit_obsolete_folding: refused({
    flags: ['--permit-obsolete-folding'],
    about: 'Takes folded header fields.',
    refused: STRICT,
  }),
  strip_header_spaces: refused({
    flags: ['--strip-header-spaces'],
    about: 'Takes blanks before the colon of a field.',
    refused: STRICT,
  }),
  permit_unconventional_http_method: refused({
    flags: ['--permit-unconventional-http-method'],
    about: 'Takes methods that are no words in capitals.',
    refused: STRICT,
  }),
  permit_unconventional_http_version: refused({
    flags: ['--permit-unconventional-http-version'],
    about: 'Takes versions of HTTP that do not exist.',
    refused: STRICT,
  }),
  casefold_http_method: refused({
    flags: ['--casefold-http-method'],
    about: 'Makes methods capitals.',
    refused: STRICT,
  }),
  forwarder_headers: refused({
    flags: ['--forwarder-headers'],
    value: 'NAMES',
    default: 'SCRIPT_NAME,PATH_INFO',
    harmless: [''],
    about: 'Fields with "_" that trusted proxies may send.',
    refused: FORWARDED,
  }),
  header_map: refused({
    flags: ['--header-map'],
    value: 'MODE',
    default: 'drop',
    harmless: ['drop'],
    about: 'What is done with fields that have a "_" in their name.',
    refused: 'such fields are dropped',
  }),
  root_path: refused({
    flags: ['--root-path'],
    value: 'PATH',
    harmless: [''],
    about: "The path the application's own begin with.",
    refused: 'it is for ASGI applications, which are not supported yet',
  }),
}
