// `-t` and `-T`.

import { dump } from '../config/print.ts'
import { check } from './check.ts'
import type { Invocation } from './invocation.ts'
import type { MasterLog } from './master-log.ts'
import { print } from './master-log.ts'

export interface TestOptions {
  readonly quiet: boolean
  readonly dump: boolean
}

/** @returns the exit code */
export function test(invocation: Invocation, log: MasterLog, options: TestOptions): number {
  const checked = check(invocation, log)
  log.flush()
  if (checked === null) {
    log.say(`configuration file ${invocation.file} test failed`)
    return 1
  }
  if (!options.quiet) {
    log.say(`the configuration file ${invocation.file} syntax is ok`)
    log.say(`configuration file ${invocation.file} test is successful`)
  }
  if (options.dump) print(1, dump(checked.bundle))
  return 0
}
