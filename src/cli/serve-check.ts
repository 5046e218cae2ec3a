// `portico serve --check-config`: the configuration is compiled and the application loaded in a process of its own, as a
// worker would load it.

import type { AppSettings } from '../app/app.ts'
import { AppPool } from '../app/pool/pool.ts'
import { parseConfig } from '../config/parse.ts'
import { ALERT, WARN } from '../log/error-log.ts'
import { tell } from './check.ts'
import { compile } from './configuration.ts'
import type { Configuration } from './configuration.ts'
import type { Composition } from './serve-composition.ts'
import { ServeLog } from './serve-log.ts'
import { invocationOf, PLACE, TextSource } from './serve-run.ts'

type Say = (message: string) => void

/** @returns the exit code */
export async function checkComposition(composition: Composition, say: Say): Promise<number> {
  const log = new ServeLog('portico')
  const invocation = invocationOf(composition)
  const source = new TextSource(PLACE, composition.text)
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
  const error = await load(settings!, configuration.main.user, composition, say)
  say(error === '' ? `"${settings!.module}" is loaded, the configuration is ok` : error)
  return error === '' ? 0 : 1
}

/** @returns '' or why it cannot be loaded */
async function load(
  settings: AppSettings,
  user: Configuration['main']['user'],
  { python }: Composition,
  say: Say,
): Promise<string> {
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
      const text = Buffer.from(message, 'latin1').toString('utf8')
      if (level <= ALERT) die(text)
      else if (level === WARN) say(`warning: ${text}`)
    },
    notify() {},
    // Hooks are for a server, and files are not written to by a check: what is loaded is the application.
    gunicorn: python === null ? null : { ...python, ...QUIET, master: process.pid },
  })
  pool.start()
  const error = await Promise.race([pool.loaded, died])
  await pool.stop(false, 0)
  return error
}

const QUIET = { hooks: [], reload: false, again: false, checking: true }
