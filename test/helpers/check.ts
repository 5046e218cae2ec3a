// `portico -t` without a process of its own: what the command does once its switches are read (src/cli/main.ts). For tests of
// what is accepted and what is refused; test/cli/main.test.ts asks the program itself.

import { invocationOf } from '../../src/cli/invocation.ts'
import { MasterLog } from '../../src/cli/master-log.ts'
import { test } from '../../src/cli/test.ts'

export interface Checked {
  /** The exit code. */
  readonly status: number
  readonly stderr: string
}

export interface CheckOptions {
  /** `-e` */
  readonly errorLog?: string
  /** `-q` */
  readonly quiet?: boolean
}

/** `portico -t -p DIR -c FILE` */
export function check(dir: string, file: string, { errorLog, quiet = false }: CheckOptions = {}): Checked {
  const invocation = invocationOf({ prefix: dir, file, directives: '', errorLog: errorLog ?? null })
  const log = new ToldLog('portico', invocation.errorLog, errorLog !== undefined)
  const status = test(invocation, log, { quiet, dump: false })
  return { status, stderr: log.told ?? '' }
}

class ToldLog extends MasterLog {
  /** The constructor above may have something to say, too. */
  declare told: string | undefined

  override say(message: string): void {
    this.told = `${this.told ?? ''}portico: ${message}\n`
  }
}
