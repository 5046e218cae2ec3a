// What the zygote is told beside an ordinary application's settings: which hooks there are, and every setting by its name, since
// hooks and logger classes look at `cfg`. Names of fields are those that python/portico_bridge/hooks.py reads.

import type { CommandLine, ConfigFile, Settings } from './command-line.ts'
import { gunicornSettings, hookNames } from './index.ts'
import { logFormatOf } from './access-log-format.ts'
import { listenAddress } from './bind.ts'
import { iniFile } from './paste.ts'
import { LOGGER } from './logging.ts'
import type { DatagramPlace } from './logging.ts'
import { SettingError } from './setting.ts'

/** JSON-able. */
export interface PythonSide {
  readonly config: string
  readonly start_directory: string
  /** As Gunicorn's own command line would be: there are applications that look at it. */
  readonly argv: readonly string[]
  readonly hooks: readonly string[]
  /** Settings whose values cannot leave Python. */
  readonly in_python: readonly string[]
  readonly values: Readonly<Record<string, unknown>>
  readonly reload: boolean
  readonly reload_extra_files: readonly string[]
  readonly workers: number
}

// What stands for it: Gunicorn takes its own StatsD class where statsd_host is set.
const LOGGERS = [LOGGER, 'simple', 'egg:gunicorn#simple', 'gunicorn.instrument.statsd.Statsd']
const FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

/** @param startFolder where the program was started, from where the file's name may be relative */
export function pythonSide(
  { settings }: CommandLine,
  file: ConfigFile | null,
  startFolder: string,
  args: readonly string[],
): PythonSide {
  const inPython = ['logconfig_dict', 'logger_class'].filter(name => isPythons(file, name))
  return {
    config: file?.location ?? '',
    start_directory: startFolder,
    argv: ['gunicorn', ...args],
    hooks: hookNames.filter(name => name !== 'ssl_context' && settings[name]),
    in_python: inPython,
    values: { ...cfgValues(settings), access_in_python: logsInPython(settings) },
    reload: settings.reload,
    reload_extra_files: settings.reload_extra_files,
    workers: settings.workers,
  }
}

/** Was it set in the file, and to something that JSON has no form for? */
function isPythons(file: ConfigFile | null, name: string): boolean {
  const value = file?.values[name]
  if (value === undefined || value === null || typeof value === 'string') return false
  return Object.keys(value as object).length > 0
}

/** Are requests logged by the workers? Where the user has a logger of their own, or a format that only Python can fill. */
export function logsInPython(settings: Settings): boolean {
  if (!LOGGERS.includes(settings.logger_class)) return true
  if (settings.logconfig !== null || settings.logconfig_json !== null || settings.logconfig_dict) return true
  return settings.accesslog !== null && !isTranslatable(settings.access_log_format)
}

function isTranslatable(format: string | null): boolean {
  try {
    if (format !== null) logFormatOf(format)
    return true
  } catch (error) {
    if (error instanceof SettingError) return false
    throw error
  }
}

const CLASS_NAMES: Readonly<Record<string, string>> = {
  threads: 'gthread',
  uvicorn: 'uvicorn.workers.UvicornWorker',
}

/** As Gunicorn's own `cfg` has them. */
export function cfgValues(settings: Settings): Record<string, unknown> {
  const all: Record<string, unknown> = {}
  for (const name of Object.keys(gunicornSettings)) all[name] = settings[name as keyof Settings]
  const { raw_env, raw_paste_global_conf, statsd_host, syslog_addr } = settings
  return {
    ...all,
    http_protocols: settings.http_protocols ?? ['h1'],
    default_proc_name: settings.paste === null ? settings.wsgi_app : iniFile(settings.wsgi_app!),
    bind: settings.bind.map(listenAddress),
    raw_paste_global_conf: raw_paste_global_conf.map(([name, value]) => `${escaped(name)}=${escaped(value)}`),
    raw_env: raw_env.map(([name, value]) => `${name}=${value}`),
    worker_class: CLASS_NAMES[settings.worker_class] ?? settings.worker_class,
    access_log_format: settings.access_log_format ?? FORMAT,
    loglevel: settings.loglevel ?? 'info',
    logger_class: LOGGERS.includes(settings.logger_class) ? LOGGER : settings.logger_class,
    logconfig_dict: {},
    pythonpath: settings.pythonpath.join(',') || null,
    secure_scheme_headers: Object.fromEntries(settings.secure_scheme_headers),
    statsd_host: statsd_host === null ? null : written(statsd_host),
    syslog_addr: written(syslog_addr, 'udp://'),
    umask: settings.umask ?? 0,
    spew: false,
  }
}

function escaped(text: string): string {
  return text.replaceAll('=', '\\=')
}

function written({ host, port, path, problem }: DatagramPlace, scheme = ''): string {
  if (problem !== '') return path
  return path === '' ? `${scheme}${host}:${port}` : `unix://${path}`
}
