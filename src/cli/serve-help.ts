// `portico serve --help`: what works and what is accepted, by section; what is refused is only named.

import { gunicornSettings, sections } from '../app/settings/index.ts'
import type { Setting } from '../app/settings/setting.ts'

const WIDTH = 96
const COLUMN = 34

export function serveHelp(name: string): string {
  const parts = [
    `Usage: ${name} [options] MODULE[:VARIABLE]
       ${name} [options] FILE.js [-- ARGUMENT...]

Serves a WSGI application (or ASGI, or a program of Node), and takes what "gunicorn" would be given.
Settings may stand in ./gunicorn.conf.py or the file that -c names, options in GUNICORN_CMD_ARGS.
Later wins: defaults, file, GUNICORN_CMD_ARGS, command line.
`,
  ]
  const refused: string[] = []
  const accepted: string[] = []
  for (const { title, settings } of sections) {
    const all = Object.values(settings).filter(setting => setting.flags.length > 0)
    refused.push(...flags(all, 'refused'))
    accepted.push(...flags(all, 'accepted'))
    const working = all.filter(({ state }) => state === 'works')
    if (working.length > 0) parts.push(`${title}:\n${working.map(entry).join('')}`)
  }
  const inFile = Object.entries(gunicornSettings as Record<string, Setting<unknown>>)
    .filter(([, { flags: own, state }]) => own.length === 0 && state === 'works')
    .map(([name]) => name)
  parts.push(`In a configuration file only:\n${paragraph(inFile.join(', '), 2)}`)
  parts.push(`Accepted, without anything to do here:\n${paragraph(accepted.join(', '), 2)}`)
  parts.push(`Not supported, and refused:\n${paragraph(refused.join(', '), 2)}`)
  return parts.join('\n')
}

function flags(settings: readonly Setting<unknown>[], state: string): string[] {
  return settings
    .filter(setting => setting.state === state)
    .map(setting => setting.flags.find(flag => flag.startsWith('--'))!)
}

function entry(setting: Setting<unknown>): string {
  const value = setting.value === '' ? '' : ` ${setting.value}`
  const head = `  ${setting.flags.join(', ')}${value}`
  const [first, ...rest] = wrap(setting.about + shownDefault(setting), WIDTH - COLUMN)
  const start = head.length > COLUMN - 2 ? `${head}\n${' '.repeat(COLUMN)}` : head.padEnd(COLUMN)
  return [start + first, ...rest.map(line => ' '.repeat(COLUMN) + line)].map(line => `${line}\n`).join('')
}

function shownDefault(setting: Setting<unknown>): string {
  const value = setting.default
  if (setting.flags.includes('--bind')) return ' [127.0.0.1:8000]'
  if (setting.flags.includes('--control-socket-mode')) return ' [0600]'
  const variable = setting.environment === '' ? '' : `$${setting.environment}, or `
  return typeof value === 'number' || (typeof value === 'string' && value !== '') ? ` [${variable}${value}]` : ''
}

function paragraph(text: string, indent: number): string {
  return wrap(text, WIDTH - indent)
    .map(line => `${' '.repeat(indent)}${line}\n`)
    .join('')
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
