// `portico serve --print-config`: the configuration, and a line about what it cannot say. Whoever goes on with it would miss that.

import type { Settings } from '../app/settings/command-line.ts'
import { logsInPython } from '../app/settings/python-side.ts'
import type { Composition } from './serve-composition.ts'

/** The configuration's text, with the settings that have no directive named in its second line. */
export function printable({ line, python, text }: Composition): string {
  const lost = python === null ? [] : [...settingsOnly(line.settings), ...python.hooks]
  if (lost.length === 0) return text
  const first = text.indexOf('\n') + 1
  return `${text.slice(0, first)}# Only "portico serve" has: ${lost.join(', ')}\n${text.slice(first)}`
}

function settingsOnly(settings: Settings): string[] {
  const { capture_output, errorlog, proc_name, reload } = settings
  const lost: string[] = []
  if (reload) lost.push('reload')
  if (capture_output && errorlog !== '-') lost.push('capture_output')
  if (proc_name !== null) lost.push('proc_name')
  return logsInPython(settings) ? [...lost, ...loggers(settings)] : lost
}

/** What makes the workers log the requests. */
function loggers({ logconfig, logconfig_dict, logconfig_json }: Settings): string[] {
  const given: string[] = []
  if (logconfig !== null) given.push('logconfig')
  if (logconfig_dict) given.push('logconfig_dict')
  if (logconfig_json !== null) given.push('logconfig_json')
  return given.length > 0 ? given : ['accesslog (a logger_class, or an access_log_format for Python)']
}
