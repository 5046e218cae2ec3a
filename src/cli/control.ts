// `portico control`, and a link named `gunicornc`: gives commands to a running server. One on the command line, or one after the
// other from a terminal or from standard input. Options and exit codes are those of Gunicorn's own client, which ends with 0 for a
// command that the server could not carry out, too; this one under its own name does not.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ControlClient, ControlError } from '../control/client.ts'
import { readable } from '../control/tables.ts'
import { PRODUCT, VERSION } from '../lib/product.ts'
import { OptionError, parseControl, words } from './control-options.ts'
import type { ControlOptions } from './control-options.ts'
import { print } from './master-log.ts'
import { defaultControlSocket, homeFolder } from './serve-control.ts'

const USAGE = 2
const INTERRUPTED = 130
const HISTORY_MAX = 1000

/** @param name what it was called as @returns the exit code */
export async function control(args: readonly string[], name: string): Promise<number> {
  try {
    const options = parseControl(args)
    if (options.help) return tell(help(name))
    if (options.version) return tell(`${name} (${PRODUCT} ${VERSION})`)
    if (options.command !== null) return await give(options, options.command, name !== 'gunicornc')
    return await converse(options)
  } catch (error) {
    if (!(error instanceof OptionError)) throw error
    say(`${name}: ${error.message}`)
    return USAGE
  }
}

/** One command. @param strict what could not be carried out is an error */
async function give({ socket, json }: ControlOptions, command: readonly string[], strict: boolean): Promise<number> {
  const client = new ControlClient(socket)
  process.once('SIGINT', () => process.exit(INTERRUPTED))
  try {
    await client.connect()
    const data = await client.ask(command)
    tell(shown(command, data, json))
    return strict && data['success'] === false ? 1 : 0
  } catch (error) {
    if (!(error instanceof ControlError)) throw error
    say(`Error: ${error.message}`)
    return 1
  } finally {
    client.close()
  }
}

function shown(command: readonly string[], data: Readonly<Record<string, unknown>>, json: boolean): string {
  return json ? JSON.stringify(data, null, 2) : readable(command.join(' ').toLowerCase(), data)
}

/** Commands by lines, from a person or not. */
async function converse(options: ControlOptions): Promise<number> {
  const client = new ControlClient(options.socket)
  try {
    await client.connect()
  } catch (error) {
    if (!(error instanceof ControlError)) throw error
    say(`Error: ${error.message}`)
    return 1
  }
  const isPerson = process.stdin.isTTY && process.stdout.isTTY
  if (isPerson) tell(`Connected to ${options.socket}\n"help" lists the commands, "quit" ends.\n`)
  const lines = createInterface({
    input: process.stdin,
    ...(isPerson ? { output: process.stdout, history: history(), historySize: HISTORY_MAX } : {}),
    prompt: 'portico> ',
    terminal: isPerson,
  })
  let code = 0
  lines.on('history', all => remember(all))
  lines.on('SIGINT', () => {
    code = INTERRUPTED
    lines.close()
  })
  if (isPerson) lines.prompt()
  for await (const line of lines) {
    if (/^\s*(?:quit|exit|q)\s*$/i.test(line)) break
    if (line.trim() !== '' && !(await obey(client, line, options.json))) {
      code = 1
      break
    }
    if (isPerson) lines.prompt()
  }
  lines.close()
  client.close()
  if (isPerson) tell('')
  return code
}

/** False: the connection is lost. */
async function obey(client: ControlClient, line: string, json: boolean): Promise<boolean> {
  try {
    const command = words(line)
    tell(shown(command, await client.ask(command), json))
    return true
  } catch (error) {
    say(`Error: ${(error as Error).message}`)
    if (error instanceof OptionError) return true
    if (!(error instanceof ControlError)) throw error
  }
  try {
    client.close()
    await client.connect()
    return true
  } catch {
    say('The connection is lost.')
    return false
  }
}

/** Gunicorn's client keeps it there as well, the oldest first. */
const historyFile = join(homeFolder(), '.gunicornc_history')

function history(): string[] {
  try {
    return readFileSync(historyFile, 'utf8').split('\n').filter(Boolean).toReversed()
  } catch {
    return []
  }
}

function remember(all: readonly string[]): void {
  try {
    writeFileSync(historyFile, `${all.toReversed().join('\n')}\n`, { mode: 0o600 })
  } catch {
    // It is a convenience.
  }
}

function tell(text: string): 0 {
  print(1, Buffer.from(`${text}\n`, 'utf8').toString('latin1'))
  return 0
}

function say(text: string): void {
  print(2, Buffer.from(`${text}\n`, 'utf8').toString('latin1'))
}

function help(name: string): string {
  return `Usage: ${name} [-s PATH] [-j] [COMMAND…]

Gives a command to a running server and shows its answer; without a command, commands are read line by line.

  -s, --socket PATH     where the server takes commands [${defaultControlSocket()}]
  -c, --command LINE    the command as one word
  -j, --json            the answer as JSON, for programs
  -v, --version         show the version
  -h, --help            show this

Commands:
  show workers          the workers and what they are at
  show all              all processes
  show stats            uptime, and how many workers there are and were
  show status           what is running, in numbers (portico status)
  show listeners        the addresses that are listened on
  show config           the settings in use
  show dirty            task processes
  worker add [N] [APP]  N workers more, of APP where there are several applications
  worker remove [N] [APP]
                        N workers less; one always stays
  worker kill PID       one worker finishes what it serves and is replaced
  dirty add [N], dirty remove [N]
                        task processes more or less
  reload                new configuration and code, as HUP
  reopen                opens the log files anew, as USR1
  shutdown [graceful|quick]
                        ends the server, after what is being served or at once
  help                  the commands that the server knows

The exit code is 0, 1 where there was no answer or an error, 2 for a wrong command line.`
}
