// `portico serve --check-config`: the configuration is compiled and the application loaded in a process of its own, as a
// worker would load it.

import type { AppSettings } from '../app/app.ts'
import { AppPool } from '../app/pool/pool.ts'
import { parseConfig } from '../config/parse.ts'
import type { Source } from '../config/source.ts'
import { ALERT, WARN } from '../log/error-log.ts'
import { tell } from './check.ts'
import { compile } from './configuration.ts'
import type { Configuration } from './configuration.ts'
import type { Invocation } from './invocation.ts'
import type { MasterLog } from './master-log.ts'

type Say = (message: string) => void

/** @returns the exit code */
export async function checkApplication(
  invocation: Invocation,
  source: Source,
  log: MasterLog,
  say: Say,
): Promise<number> {
  let configuration: Configuration
  try {
    const parsed = parseConfig(source, invocation.file, '')
    configuration = compile(source, parsed, invocation, process.geteuid?.() === 0, warning =>
      log.write(WARN, `${warning}`),
    )
  } catch (error) {
    tell(error, log)
    return 1
  }
  const [settings] = configuration.http.apps
  const error = await load(settings!, configuration.main.user)
  say(error === '' ? `"${settings!.module}" is loaded, the configuration is ok` : error)
  return error === '' ? 0 : 1
}

/** @returns '' or why it cannot be loaded */
async function load(settings: AppSettings, user: Configuration['main']['user']): Promise<string> {
  const { promise: died, resolve: die } = Promise.withResolvers<string>()
  const pool = new AppPool({
    settings: { ...settings, workers: 1 },
    generation: 1,
    frontThreads: 1,
    output: 'inherit',
    runDirectory: '',
    front: user === null ? null : { user: user.name, group: `${user.gid}` },
    log(level, message) {
      // A process that ended by itself: the pool would try again.
      if (level <= ALERT) die(Buffer.from(message, 'latin1').toString('utf8'))
    },
    notify() {},
  })
  pool.start()
  const error = await Promise.race([pool.loaded, died])
  await pool.stop(false, 0)
  return error
}
