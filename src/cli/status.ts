// `portico status`: what is running, on one page, once or again and again. It asks the control interface, as `portico control`
// does, and works out how fast things go from one answer to the next.

import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ControlClient, ControlError } from '../control/client.ts'
import { statusPage } from '../control/status-page.ts'
import { OptionError } from './control-options.ts'
import { ADVICE, NoSocketError, parseStatus, socketOf } from './status-options.ts'
import type { StatusOptions } from './status-options.ts'
import { print } from './master-log.ts'
import { defaultControlSocket } from './serve-control.ts'

type Data = Readonly<Record<string, unknown>>

const USAGE = 2
const INTERRUPTED = 130

/** @param name what it was called as @returns the exit code */
export async function status(args: readonly string[], name: string): Promise<number> {
  process.once('SIGINT', () => process.exit(INTERRUPTED))
  try {
    const options = parseStatus(args)
    if (options.help) {
      show(help(name))
      return 0
    }
    return await look(options, socketOf(options))
  } catch (error) {
    if (error instanceof OptionError) return complain(`${name}: ${error.message}`, USAGE)
    if (error instanceof NoSocketError) return complain(`Error: ${error.message}`, 1)
    throw error
  }
}

async function look(options: StatusOptions, path: string): Promise<number> {
  const client = new ControlClient(path)
  const screen = options.watch > 0 && !options.json && process.stdout.isTTY
  if (screen) takeScreen()
  let before: Data | null = null
  try {
    for (;;) {
      const data = await client.ask(['show', 'status'])
      const text = options.json ? asJson(data, options) : statusPage(data, before)
      if (screen) repaint(text)
      else if (!show(before === null || options.json ? text : `\n${text}`)) return 0
      if (options.watch === 0) return 0
      before = data
      await sleep(options.watch * 1000)
    }
  } catch (error) {
    if (!(error instanceof ControlError)) throw error
    if (before !== null) return complain(`Error: the server has gone: ${error.message}`, 1)
    const byDefault = options.socket === '' && options.file === null && options.prefix === null
    return complain(`Error: ${error.message}${byDefault ? `\n${ADVICE}\nThen: portico status -c FILE` : ''}`, 1)
  } finally {
    client.close()
  }
}

/** A line for each look, where there are several. */
function asJson(data: Data, { watch }: StatusOptions): string {
  return JSON.stringify(data, null, watch > 0 ? 0 : 2)
}

// ── the terminal ─────────────────────────────────────────────────────────────────────────────────────────────────────

const HOME_CLEAR = '\x1b[H\x1b[2J'
const HOME = '\x1b[H'
const REST_OF_LINE = '\x1b[K'
const REST = '\x1b[J'
const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'

function takeScreen(): void {
  print(1, HOME_CLEAR + HIDE_CURSOR)
  process.once('exit', () => print(1, SHOW_CURSOR))
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
}

/** Over what is there, without flicker; what there is no room for is left out. */
function repaint(text: string): void {
  const { rows, columns } = process.stdout
  // Some terminals do not know their size.
  const lines = text.split('\n').slice(0, rows > 1 ? rows - 1 : Infinity)
  const painted = lines.map(line => `${line.slice(0, columns || Infinity)}${REST_OF_LINE}\n`).join('')
  print(1, Buffer.from(HOME + painted + REST, 'utf8').toString('latin1'))
}

/** False: nobody reads any more. */
function show(text: string): boolean {
  const bytes = Buffer.from(`${text}\n`, 'utf8')
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(1, bytes, done)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return false
    }
  }
  return true
}

function complain(text: string, code: number): number {
  print(2, Buffer.from(`${text}\n`, 'utf8').toString('latin1'))
  return code
}

function help(name: string): string {
  return `Usage: ${name} [-s PATH | -c FILE [-p PREFIX]] [-j] [--watch[=SECONDS]]

Shows what is running: connections, requests, and of each application its workers and its queue.

  -s, --socket PATH      where the server takes commands [${defaultControlSocket()}]
  -c, --config FILE      where its configuration says so (control_socket)
  -p, --prefix PREFIX    what relative paths are relative to [the current folder]
  -w, --watch[=SECONDS]  look again every second, with rates, until Ctrl-C
  -j, --json             as JSON, for programs; with --watch a line for each look
  -h, --help             show this

The exit code is 0, 1 where there was no answer or an error, 2 for a wrong command line, 130 after Ctrl-C.`
}
