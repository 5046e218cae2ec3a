// The settings of logs and names.

import { oneOf, refused, single, text, toggle } from './setting.ts'

const PYTHON_LOGGING = "the log is written by the front, not by Python's logging"
const SYSLOG = 'syslog is not supported yet'
const STATSD = 'StatsD is not supported yet'

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
    accepted: 'nothing goes to syslog',
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
    oneOf('debug', 'info', 'warning', 'error', 'critical'),
  ),
  capture_output: toggle({
    flags: ['--capture-output'],
    about: 'Sends what the application prints to the error log.',
    accepted: "it goes to the server's own output",
  }),
  logger_class: refused({
    flags: ['--logger-class'],
    value: 'CLASS',
    default: 'gunicorn.glogging.Logger',
    harmless: ['gunicorn.glogging.Logger'],
    about: 'The class that logs.',
    refused: PYTHON_LOGGING,
  }),
  logconfig: refused({
    flags: ['--log-config'],
    value: 'FILE',
    about: "A file for Python's logging.",
    refused: PYTHON_LOGGING,
  }),
  logconfig_dict: refused({ about: "A dict for Python's logging.", refused: PYTHON_LOGGING }),
  logconfig_json: refused({
    flags: ['--log-config-json'],
    value: 'FILE',
    about: "A JSON file for Python's logging.",
    refused: PYTHON_LOGGING,
  }),
  syslog_addr: refused({
    flags: ['--log-syslog-to'],
    value: 'ADDRESS',
    default: 'udp://localhost:514',
    about: 'Where syslog is.',
    refused: SYSLOG,
  }),
  syslog: refused({ flags: ['--log-syslog'], about: 'Logs to syslog.', refused: SYSLOG }),
  syslog_prefix: refused({
    flags: ['--log-syslog-prefix'],
    value: 'NAME',
    about: 'The name in syslog.',
    refused: SYSLOG,
  }),
  syslog_facility: refused({
    flags: ['--log-syslog-facility'],
    value: 'NAME',
    default: 'user',
    about: 'The facility of syslog.',
    refused: SYSLOG,
  }),
  enable_stdio_inheritance: toggle({
    flags: ['-R', '--enable-stdio-inheritance'],
    about: 'Leaves output open in the background.',
    accepted: 'output in the background goes to the error log',
  }),
  statsd_host: refused({ flags: ['--statsd-host'], value: 'ADDRESS', about: 'Where StatsD is.', refused: STATSD }),
  dogstatsd_tags: refused({
    flags: ['--dogstatsd-tags'],
    value: 'TAGS',
    about: 'Tags of each metric.',
    refused: STATSD,
  }),
  statsd_prefix: refused({
    flags: ['--statsd-prefix'],
    value: 'TEXT',
    about: 'Prefix of each metric.',
    refused: STATSD,
  }),
  enable_backlog_metric: refused({
    flags: ['--enable-backlog-metric'],
    about: 'Counts who waits to be served.',
    refused: STATSD,
  }),
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
