// What `portico serve` has to do with the control interface: where it is when nobody says, and which settings it shows.

import { existsSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { addressUrl } from '../app/settings/bind.ts'
import { kindOf } from '../app/settings/configuration.ts'
import { cfgValues } from '../app/settings/python-side.ts'
import type { Composition } from './serve-composition.ts'

/** Gunicorn's place for it: one for each user. */
export function defaultControlSocket(): string {
  const run = process.env['XDG_RUNTIME_DIR'] ?? ''
  const isFolder = run !== '' && existsSync(run) && statSync(run).isDirectory()
  return isFolder ? join(run, 'gunicorn.ctl') : join(homeFolder(), '.gunicorn', 'gunicorn.ctl')
}

/** Who has neither HOME nor an entry among the users, as in some containers, is at home where all are. */
export function homeFolder(): string {
  try {
    return homedir()
  } catch {
    return '/'
  }
}

/** Those Gunicorn shows. */
const SHOWN = [
  'bind',
  'workers',
  'worker_class',
  'threads',
  'timeout',
  'graceful_timeout',
  'keepalive',
  'max_requests',
  'max_requests_jitter',
  'worker_connections',
  'preload_app',
  'daemon',
  'pidfile',
  'proc_name',
  'reload',
  'dirty_workers',
  'dirty_apps',
  'dirty_timeout',
  'control_socket',
  'control_socket_disable',
] as const

export function shownSettings({ line: { settings }, around }: Composition): Readonly<Record<string, unknown>> {
  const kind = kindOf(settings)
  const values: Record<string, unknown> = {
    ...cfgValues(settings),
    bind: around.addresses.map(address => addressUrl(address).replace(/^https?:\/\//, '')),
    worker_class: kind === 'threads' ? 'gthread' : kind,
    proc_name: settings.proc_name ?? settings.wsgi_app,
    control_socket: settings.control_socket ?? around.controlSocket,
  }
  return Object.fromEntries(SHOWN.map(name => [name, values[name]]))
}
