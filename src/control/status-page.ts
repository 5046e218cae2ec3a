// `show status` as people read it: what is running, on one page. With an earlier answer beside it, how fast things go.

import { duration, rows, table, text, within } from './layout.ts'
import type { Data } from './layout.ts'

/** Counters of an application that should stay at nothing: a column only where one does not. */
const TROUBLE: readonly (readonly [counter: string, title: string])[] = [
  ['queue_full', 'refused'],
  ['queue_timeouts', 'waited in vain'],
  ['timeouts', 'timeouts'],
  ['workers_lost', 'lost'],
  ['failed', 'failed'],
]

/** @param before what the same server has answered last; null: there is none, so there are no rates */
export function statusPage(data: Data, before: Data | null = null): string {
  const parts = [overview(data, before)]
  const apps = rows(data, 'apps')
  if (apps.length > 0) parts.push(applications(apps, elapsed(data, before), before))
  const silent = number(data['threads_silent'])
  if (silent > 0) parts.push(`${silent} of ${text(data['threads'])} threads did not answer: what they have is left out`)
  return parts.join('\n\n')
}

function overview(data: Data, before: Data | null): string {
  const connections = within(data, 'connections')
  const has = (name: string): string => `${text(connections[name])} ${name}`
  const rate = perSecond(data['requests'], before?.['requests'], elapsed(data, before))
  const lines = [
    `portico ${text(data['version'])}, up ${duration(number(data['uptime']))}, reloads ${text(data['reloads'])}`,
    `master ${text(data['pid'])}, front ${text(data['front'])} with ${counted(data['threads'], 'thread')}${size(data['memory'])}`,
  ]
  if ('active' in connections)
    lines.push(
      '',
      `connections  ${['active', 'reading', 'writing', 'waiting', 'accepted'].map(has).join(', ')}`,
      `requests     ${text(data['requests'])}${rate === null ? '' : `, ${rate}/s`}`,
    )
  return lines.join('\n')
}

function applications(apps: readonly Data[], seconds: number, before: Data | null): string {
  const earlier = before === null ? [] : rows(before, 'apps')
  const shown = apps.map(app => {
    const counters = within(app, 'counters')
    const was = within(earlier.find(one => one['name'] === app['name']) ?? {}, 'counters')
    return row(app, counters, perSecond(counters['requests'], was['requests'], seconds))
  })
  return table(shown, [...new Set(shown.flatMap(one => Object.keys(one)))])
}

function row(app: Data, counters: Data, rate: string | null): Data {
  const workers = within(app, 'workers')
  const queue = within(app, 'queue')
  const some = (value: unknown): number | null => number(value) || null
  return {
    app: app['name'],
    kind: app['kind'],
    workers: workers['wanted'],
    busy: workers['busy'],
    idle: workers['idle'],
    starting: some(workers['starting']),
    leaving: some(workers['leaving']),
    'in flight': app['kind'] === 'sync' ? null : app['in_flight'],
    queue: 'waiting' in queue && queue['waiting'] !== null ? `${text(queue['waiting'])}/${text(queue['limit'])}` : null,
    requests: counters['requests'],
    'per s': rate,
    'app ms': mean(counters['app_ms'], counters['requests']),
    'queue ms': mean(counters['queue_ms'], counters['queued']),
    ...Object.fromEntries(TROUBLE.map(([counter, title]) => [title, some(counters[counter])])),
    memory: some(app['memory']) === null ? null : megabytes(number(app['memory'])),
  }
}

/** Seconds between the two answers; 0 where they cannot be compared. */
function elapsed(data: Data, before: Data | null): number {
  if (before === null || data['pid'] !== before['pid'] || data['front'] !== before['front']) return 0
  return number(data['uptime']) - number(before['uptime'])
}

/** Null: not known. */
function perSecond(now: unknown, before: unknown, seconds: number): string | null {
  if (typeof now !== 'number' || typeof before !== 'number' || now < before || seconds <= 0) return null
  return ((now - before) / seconds).toFixed(1)
}

function mean(sum: unknown, count: unknown): string | null {
  return number(count) === 0 || typeof sum !== 'number' ? null : (sum / number(count)).toFixed(1)
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

function counted(count: unknown, what: string): string {
  return `${text(count)} ${what}${count === 1 ? '' : 's'}`
}

function size(bytes: unknown): string {
  return number(bytes) === 0 ? '' : `, ${megabytes(number(bytes))}`
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`
}
