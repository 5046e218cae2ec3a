// The command line. Everything else is loaded when it is known what is wanted.

import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { endOnSignals } from '../process/early-signals.ts'
import { invocationOf } from './invocation.ts'
import type { Invocation } from './invocation.ts'
import { MasterLog, print } from './master-log.ts'
import { parseSwitches, SwitchError } from './switches.ts'
import type { SignalName, Switches } from './switches.ts'

/** The name the program was called by: through a link named `nginx` it speaks as nginx. */
const invokedAs = basename(process.env['PORTICO_INVOKED_AS'] ?? 'portico') === 'nginx' ? 'nginx' : 'portico'

/** What people try first; nginx has no long switches. */
const LONG: Readonly<Record<string, string>> = { '--help': '-h', '--version': '-v' }

endOnSignals()
process.exitCode = await command(process.argv.slice(2))
process.exit()

async function command(args: readonly string[]): Promise<number> {
  const link = basename(process.env['PORTICO_INVOKED_AS'] ?? '')
  const asGunicorn = link === 'gunicorn'
  if (link === 'gunicornc') return await giveCommands(args, 'gunicornc')
  if (args[0] === 'control' && !asGunicorn) return await giveCommands(args.slice(1), `${invokedAs} control`)
  if (args[0] === 'status' && !asGunicorn) return await showStatus(args.slice(1))
  if (args[0] === 'explain' && !asGunicorn) return await explainRequest(args.slice(1))
  if (args[0] !== 'serve' && !asGunicorn) return await main(args)
  const { serve } = await import('./serve.ts')
  return await serve(asGunicorn ? args : args.slice(1))
}

async function explainRequest(args: readonly string[]): Promise<number> {
  const { explain } = await import('./explain.ts')
  return explain(args, invokedAs)
}

async function showStatus(args: readonly string[]): Promise<number> {
  const { status } = await import('./status.ts')
  return status(args, `${invokedAs} status`)
}

async function giveCommands(args: readonly string[], name: string): Promise<number> {
  const { control } = await import('./control.ts')
  return control(args, name)
}

async function main(args: readonly string[]): Promise<number> {
  let switches: Switches
  try {
    if (invokedAs !== 'nginx' && args.length > 0 && !args[0]!.startsWith('-')) {
      const commands = '"serve", "status", "control", "explain"'
      throw new SwitchError(`"${args[0]}" is no command: there are ${commands}, and what -h lists`)
    }
    switches = parseSwitches(invokedAs === 'nginx' ? args : args.map(arg => LONG[arg] ?? arg))
  } catch (error) {
    if (!(error instanceof SwitchError)) throw error
    print(2, `${invokedAs}: ${error.message}\n`)
    return 1
  }
  if (switches.version) await showVersion(switches)
  if (switches.version && !switches.test) return 0
  const invocation = invocationOf(switches)
  // Who runs nginx expects its word about a default folder that is not there; here the configuration names the log.
  const log = new MasterLog(invokedAs, invocation.errorLog, switches.errorLog !== null || invokedAs === 'nginx')
  if (switches.test) return await test(switches, invocation, log)
  if (switches.signal !== null) return await signal(switches.signal, invocation, log)
  const code = await start(invocation, log)
  if (code !== 0 && args.length === 0 && invokedAs !== 'nginx' && !existsSync(invocation.file)) {
    log.say('-c names a configuration, "portico serve MODULE" serves an application, -h tells what else there is')
  }
  return code
}

async function showVersion({ help: wantsHelp, configure }: Switches): Promise<void> {
  const { configureLines, help, versionLine } = await import('./version.ts')
  print(2, versionLine())
  if (wantsHelp) print(2, help(invokedAs))
  if (configure) print(2, configureLines((await import('./configuration.ts')).registry))
}

async function test(switches: Switches, invocation: Invocation, log: MasterLog): Promise<number> {
  const { test } = await import('./test.ts')
  return test(invocation, log, switches)
}

async function signal(name: SignalName, invocation: Invocation, log: MasterLog): Promise<number> {
  const { signalMaster } = await import('./signal.ts')
  return signalMaster(name, invocation, log)
}

async function start(invocation: Invocation, log: MasterLog): Promise<number> {
  const { run } = await import('./run.ts')
  const { FileSource } = await import('../config/source.ts')
  process.title = `${invokedAs}: master process`
  return run(invocation, log, () => new FileSource())
}
