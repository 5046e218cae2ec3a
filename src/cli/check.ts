// Reading and checking the configuration without running it, for `-t`, `-T` and `-s`.

import type { Bundle } from '../config/source.ts'
import { FileSource } from '../config/source.ts'
import { EMERG, WARN } from '../log/error-log.ts'
import { compile, configErrors, parse } from './configuration.ts'
import type { Notes } from '../http/notes.ts'
import type { Configuration } from './configuration.ts'
import type { Invocation } from './invocation.ts'
import type { MasterLog } from './master-log.ts'

export interface Checked {
  readonly configuration: Configuration
  readonly bundle: Bundle
}

/** Null: it is wrong, and that has been said. */
export function check(invocation: Invocation, log: MasterLog, notes: Notes | null = null): Checked | null {
  const source = new FileSource()
  try {
    const warn = (warning: Error): void => log.write(WARN, String(warning))
    const configuration = compile(source, parse(source, invocation), invocation, process.geteuid?.() === 0, warn, notes)
    return { configuration, bundle: source.bundle() }
  } catch (error) {
    tell(error, log)
    return null
  }
}

/**
 * All that is wrong, the first as nginx says it; what may have been meant is for the reader of the terminal only. A fault
 * of the program itself is no reason for a running master to end.
 */
export function tell(error: unknown, log: MasterLog): void {
  const errors = configErrors(error)
  if (errors.length === 0) log.write(EMERG, `the configuration could not be compiled: ${(error as Error).stack}`)
  for (const one of errors) {
    log.write(EMERG, one.toString())
    if (one.hint !== null && log.verbose) log.say(one.hint)
  }
}
