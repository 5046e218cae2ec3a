// The settings of logs and names.

import { inFile, oneOf, refused, single, SettingError, text, toggle } from './setting.ts'
import type { FileValue } from './setting.ts'

/** Gunicorn's own, for which the front does what it would do. */
export const LOGGER = 'gunicorn.glogging.Logger'

const FACILITIES = (
  'auth authpriv cron daemon ftp kern lpr mail news security syslog user uucp ' +
  'local0 local1 local2 local3 local4 local5 local6 local7'
).split(' ')

/** Gunicorn takes what it does not know for "info": whoever wrote it wanted something else. */
function logLevel(word: string): 'debug' | 'info' | 'warning' | 'error' | 'critical' {
  const level = word.trim().toLowerCase()
  const known = (['debug', 'info', 'warning', 'error', 'critical'] as const).find(one => one === level)
  if (known === undefined && level !== 'trace')
    throw new SettingError('it must be one of debug, info, warning, error, critical')
  return known ?? 'debug'
}

export const logging = {
  accesslog: single(
    {
      flags: ['--access-logfile'],
      value: 'FILE',
      default: null,
      about: 'Where requests are logged; "-" is standard output. Without it they are not.',
    },
    text,
  ),
  disable_redirect_access_to_syslog: toggle({
    flags: ['--disable-redirect-access-to-syslog'],
    about: 'Keeps requests out of syslog.',
  }),
  access_log_format: single(
    {
      flags: ['--access-logformat'],
      value: 'FORMAT',
      default: null,
      about: 'How a request is logged: "%(h)s %(r)s …".',
    },
    word => word,
  ),
  errorlog: single(
    {
      flags: ['--error-logfile', '--log-file'],
      value: 'FILE',
      default: '-',
      about: 'Where errors are logged; "-" is standard error.',
    },
    text,
  ),
  loglevel: single(
    {
      flags: ['--log-level'],
      value: 'LEVEL',
      default: null,
      about: 'How much: debug, info, warning, error or critical. Without it: warnings, and a line at the start.',
    },
    logLevel,
  ),
  capture_output: toggle({
    flags: ['--capture-output'],
    about: 'Sends what the workers print to the error log.',
  }),
  logger_class: {
    ...single(
      {
        flags: ['--logger-class'],
        value: 'CLASS',
        default: LOGGER,
        about: 'The class that logs requests, in the workers, and what hooks have to say.',
      },
      text,
    ),
    readValue: classOf,
  },
  logconfig: single(
    {
      flags: ['--log-config'],
      value: 'FILE',
      default: null,
      about: "A file for Python's logging, which then logs the requests too.",
    },
    text,
  ),
  logconfig_dict: inFile({ about: "A dict for Python's logging.", default: false }, isFull),
  logconfig_json: single(
    { flags: ['--log-config-json'], value: 'FILE', default: null, about: "A JSON file for Python's logging." },
    text,
  ),
  syslog_addr: single(
    {
      flags: ['--log-syslog-to'],
      value: 'ADDRESS',
      default: { host: 'localhost', port: 514, path: '' },
      about: 'Where syslog is: udp://HOST:PORT or unix://PATH.',
    },
    syslogAddress,
  ),
  syslog: toggle({ flags: ['--log-syslog'], about: 'Logs to syslog as well.' }),
  syslog_prefix: single(
    { flags: ['--log-syslog-prefix'], value: 'NAME', default: null, about: 'The name in syslog, behind "gunicorn".' },
    text,
  ),
  syslog_facility: single(
    { flags: ['--log-syslog-facility'], value: 'NAME', default: 'user', about: 'The facility of syslog.' },
    oneOf(...FACILITIES),
  ),
  enable_stdio_inheritance: toggle({
    flags: ['-R', '--enable-stdio-inheritance'],
    about: 'Leaves output open in the background.',
    accepted: 'output in the background goes to the error log',
  }),
  statsd_host: single(
    {
      flags: ['--statsd-host'],
      value: 'ADDRESS',
      default: null,
      about: 'Where StatsD is told of requests and workers: HOST:PORT or unix://PATH.',
    },
    statsdAddress,
  ),
  dogstatsd_tags: single(
    { flags: ['--dogstatsd-tags'], value: 'TAGS', default: '', about: 'Tags of each metric, by commas.' },
    text,
  ),
  statsd_prefix: single(
    { flags: ['--statsd-prefix'], value: 'TEXT', default: '', about: 'What the name of each metric begins with.' },
    text,
  ),
  enable_backlog_metric: refused({
    flags: ['--enable-backlog-metric'],
    about: 'Counts who waits to be served.',
    refused: 'the queue is the front\'s own here, see "queue"',
  }),
}

/** Where datagrams go: a host and port, or the path of a Unix socket. */
export interface DatagramPlace {
  readonly host: string
  readonly port: number
  readonly path: string
}

function statsdAddress(word: string): DatagramPlace {
  const address = word.trim()
  // `unix:8125` is a host of that name.
  const unix = /^unix:(?:\/\/)?(.*)$/s.exec(/^unix:\d+$/.test(address) ? '' : address)
  if (unix !== null) return { host: '', port: 0, path: unix[1]! }
  return hostAndPort(address, 8125)
}

function syslogAddress(word: string): DatagramPlace {
  const address = word.trim()
  const unix = /^unix:\/\/([^#]+)(?:#(.*))?$/s.exec(address)
  if (unix !== null) {
    if (unix[2] === 'stream') throw new SettingError('syslog is only told by datagrams')
    return { host: '', port: 0, path: unix[1]! }
  }
  if (address.startsWith('tcp://')) throw new SettingError('syslog is only told by datagrams, as in udp://HOST:PORT')
  if (!address.startsWith('udp://')) throw new SettingError('as in udp://localhost:514 or unix:///dev/log')
  return hostAndPort(address.slice(6), 514)
}

function hostAndPort(text: string, port: number): DatagramPlace {
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s]*))(?::(\d{1,5}))?$/.exec(text)
  const number = Number(parts?.[3] ?? port)
  if (parts === null || number < 1 || number > 65535) throw new SettingError('as in HOST:PORT')
  return { host: (parts[1] ?? parts[2]) || 'localhost', port: number, path: '' }
}

/** A class by its name; one that was made in the file stays there. */
function classOf(value: FileValue): string {
  return JSON.stringify(Array.isArray(value) ? value[0] : value).replaceAll(/^"|"$/g, '')
}

function isFull(value: FileValue): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0
}

export const processNaming = {
  proc_name: single(
    { flags: ['-n', '--name'], value: 'NAME', default: null, about: "The master's name in lists of processes." },
    text,
  ),
  default_proc_name: single(
    { value: 'NAME', default: 'portico', about: 'What it is without that.', accepted: 'internal to Gunicorn' },
    text,
  ),
}
