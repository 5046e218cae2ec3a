// The settings of logs and names.

import { inFile, single, SettingError, text, toggle } from './setting.ts'
import type { FileValue } from './setting.ts'

/** Gunicorn's own, for which the front does what it would do. */
export const LOGGER = 'gunicorn.glogging.Logger'

export const FACILITIES = (
  'auth authpriv cron daemon ftp kern lpr mail news security syslog user uucp ' +
  'local0 local1 local2 local3 local4 local5 local6 local7'
).split(' ')

const LEVELS = ['debug', 'info', 'warning', 'error', 'critical'] as const

/** The level that a word stands for: what Gunicorn does not know it takes for "info". */
export function levelOf(word: string): (typeof LEVELS)[number] {
  return LEVELS.find(one => one === word.toLowerCase()) ?? 'info'
}

function levelCaution(word: string | null): string {
  if (word === null || LEVELS.some(one => one === word.toLowerCase())) return ''
  return `loglevel "${word}" is none of ${LEVELS.join(', ')}, and taken for info`
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
    text,
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
  loglevel: {
    ...single(
      {
        flags: ['--log-level'],
        value: 'LEVEL',
        default: null,
        about: 'How much: debug, info, warning, error or critical. Without it: warnings, and a line at the start.',
      },
      text,
    ),
    caution: levelCaution,
  },
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
      default: { host: 'localhost', port: 514, path: '', problem: '' },
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
    text,
  ),
  enable_stdio_inheritance: toggle({
    flags: ['-R', '--enable-stdio-inheritance'],
    about: 'Leaves output open in the background.',
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
  enable_backlog_metric: toggle({
    flags: ['--enable-backlog-metric'],
    about: 'Tells StatsD each second how many connections and requests wait to be served.',
  }),
}

/** Where datagrams go: a host and port, or the path of a Unix socket. */
export interface DatagramPlace {
  readonly host: string
  readonly port: number
  readonly path: string
  /** Why nobody can be told there. */
  readonly problem: string
}

function statsdAddress(word: string): DatagramPlace {
  const address = word.trim()
  // `unix:8125` is a host of that name.
  const unix = /^unix:(?:\/\/)?(.*)$/s.exec(/^unix:\d+$/.test(address) ? '' : address)
  if (unix !== null) return { host: '', port: 0, path: unix[1]!, problem: '' }
  return hostAndPort(address, 8125)
}

/** Of no importance where there is no --log-syslog: then its problem is nobody's. */
function syslogAddress(word: string): DatagramPlace {
  const address = word.trim()
  try {
    const unix = /^unix:\/\/([^#]+)(?:#(.*))?$/s.exec(address)
    if (unix !== null) {
      if (unix[2] === 'stream') throw new SettingError('syslog is only told by datagrams')
      return { host: '', port: 0, path: unix[1]!, problem: '' }
    }
    if (address.startsWith('tcp://')) throw new SettingError('syslog is only told by datagrams, as in udp://HOST:PORT')
    if (!address.startsWith('udp://')) throw new SettingError('as in udp://localhost:514 or unix:///dev/log')
    return hostAndPort(address.slice(6), 514)
  } catch (error) {
    if (!(error instanceof SettingError)) throw error
    return { host: '', port: 0, path: address, problem: error.message }
  }
}

function hostAndPort(text: string, port: number): DatagramPlace {
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s]*))(?::(\d{1,5}))?$/.exec(text)
  const number = Number(parts?.[3] ?? port)
  if (parts === null || number < 1 || number > 65535) throw new SettingError('as in HOST:PORT')
  return { host: (parts[1] ?? parts[2]) || 'localhost', port: number, path: '', problem: '' }
}

/** A class by its name; one that was made in the file stays there. */
function classOf(value: FileValue): string {
  return JSON.stringify(Array.isArray(value) ? value[0] : value).replaceAll(/^"|"$/g, '')
}

function isFull(value: FileValue): boolean {
  const isDict = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isDict) throw new SettingError('a dict is needed')
  return Object.keys(value).length > 0
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
