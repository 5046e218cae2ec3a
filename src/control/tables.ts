// Answers of the control interface as people read them. What is not there is left out, so that the answers of any server are shown.

import { duration, indented, pairs, rows, table, text, within } from './layout.ts'
import type { Data } from './layout.ts'
import { statusPage } from './status-page.ts'

/** @param command as it was given, in lower case and by single blanks */
export function readable(command: string, data: Data): string {
  switch (command) {
    case 'show all':
      return overview(data)
    case 'show workers':
      return `${workers(rows(data, 'workers'))}\n\nTotal: ${text(data['count'])}`
    case 'show dirty':
      return tasks(data)
    case 'show stats':
      return stats(data)
    case 'show status':
      return statusPage(data)
    case 'show listeners':
      return `${listeners(rows(data, 'listeners'))}\n\nTotal: ${text(data['count'])}`
    case 'help':
      return help(data)
    default:
      return pairs(Object.entries(data)) || 'OK'
  }
}

function overview(data: Data): string {
  const web = rows(data, 'web_workers')
  const dirty = rows(data, 'dirty_workers')
  const parts = [`MASTER\n${indented(pairs([['pid', within(data, 'arbiter')['pid']]]))}`]
  const front = within(data, 'front')['pid']
  if (front !== undefined) parts.push(`FRONT\n${indented(pairs([['pid', front]]))}`)
  parts.push(`WORKERS (${web.length})\n${indented(workers(web))}`)
  const arbiter = within(data, 'dirty_arbiter')['pid']
  if (arbiter !== undefined) {
    parts.push(`TASKS\n${indented(pairs([['pid', arbiter]]))}`)
    parts.push(`TASK PROCESSES (${dirty.length})\n${indented(taskWorkers(dirty))}`)
  }
  return parts.join('\n\n')
}

function workers(all: readonly Data[]): string {
  const columns = ['pid', 'age', 'booted', 'state', 'app', 'requests', 'last_heartbeat', 'aborted']
  const shown = all.map(({ aborted, ...one }) => (aborted === true ? { ...one, aborted } : one))
  return table(shown, columns)
}

function taskWorkers(all: readonly Data[]): string {
  return table(all, ['pid', 'age', 'booted', 'apps', 'last_heartbeat'])
}

function tasks(data: Data): string {
  if (data['enabled'] !== true) return 'No task processes'
  const parts = [pairs([['pid', data['pid']]]), taskWorkers(rows(data, 'workers'))]
  const apps = rows(data, 'apps')
  if (apps.length > 0) parts.push(table(apps, ['import_path', 'current_workers', 'worker_count']))
  return parts.join('\n\n')
}

function listeners(all: readonly Data[]): string {
  return table(all, ['address', 'type', 'fd'])
}

function stats(data: Data): string {
  return pairs(
    Object.entries(data)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, name === 'uptime' ? duration(Number(value)) : value]),
  )
}

function help(data: Data): string {
  const entries = Object.entries(within(data, 'commands'))
  const width = Math.max(0, ...entries.map(([name]) => name.length))
  return entries.map(([name, about]) => `  ${name.padEnd(width + 2)}${text(about)}`).join('\n')
}
