// `-s`: finds the master through its pid file and signals it.

import { ALERT, ERR } from '../log/error-log.ts'
import { readPidFile } from '../process/pid-file.ts'
import { reason } from '../process/system-error.ts'
import { check } from './check.ts'
import type { Invocation } from './invocation.ts'
import type { MasterLog } from './master-log.ts'
import type { SignalName } from './switches.ts'

const signals: Readonly<Record<SignalName, NodeJS.Signals>> = {
  stop: 'SIGTERM',
  quit: 'SIGQUIT',
  reopen: 'SIGUSR1',
  reload: 'SIGHUP',
}

/** @returns the exit code */
export function signalMaster(name: SignalName, invocation: Invocation, log: MasterLog): number {
  const code = send(name, invocation, log)
  log.flush()
  return code
}

function send(name: SignalName, invocation: Invocation, log: MasterLog): number {
  const checked = check(invocation, log)
  if (checked === null) return 1
  let pid: number
  try {
    pid = readPidFile(checked.configuration.main.pidFile)
  } catch (error) {
    log.write(ERR, (error as Error).message)
    return 1
  }
  try {
    process.kill(pid, signals[name])
    return 0
  } catch (error) {
    log.write(ALERT, `kill(${pid}, ${signals[name].slice(3)}) failed (${reason(error)})`)
    return 1
  }
}
