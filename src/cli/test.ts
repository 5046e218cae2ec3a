// `-t` and `-T`.

import { dump } from '../config/print.ts'
import { check } from './check.ts'
import type { Invocation } from './invocation.ts'
import type { MasterLog } from './master-log.ts'
import { EMERG } from '../log/error-log.ts'
import { print } from './master-log.ts'
import { rehearse } from './rehearsal.ts'

export interface TestOptions {
  readonly quiet: boolean
  readonly dump: boolean
}

/** @returns the exit code */
export function test(invocation: Invocation, log: MasterLog, options: TestOptions): number {
  const checked = check(invocation, log)
  if (checked === null) return fail(invocation, log)
  if (!options.quiet) log.say(`the configuration file ${invocation.file} syntax is ok`)
  const problem = rehearse(checked.configuration, invocation.prefix)
  if (problem !== null) {
    log.write(EMERG, problem)
    return fail(invocation, log)
  }
  log.flush()
  if (!options.quiet) log.say(`configuration file ${invocation.file} test is successful`)
  if (options.dump) print(1, dump(checked.bundle))
  return 0
}

function fail(invocation: Invocation, log: MasterLog): number {
  log.flush()
  log.say(`configuration file ${invocation.file} test failed`)
  return 1
}
