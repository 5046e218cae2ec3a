// PasteDeploy: the application is what an ini file makes of it. The file's path becomes the application's name, in PasteDeploy's own
// notation; it is read by Python where the application is loaded. No input or output here.

import { resolve } from 'node:path'
import type { CommandLine } from './command-line.ts'

const SCHEME = 'config:'

/** Is an application's name that of an ini file? */
export function isIni(application: string): boolean {
  return application.startsWith(`${SCHEME}/`)
}

/** Its path. */
export function iniFile(application: string): string {
  return application.slice(SCHEME.length).replace(/#.*$/s, '')
}

/**
 * With --paste the file's application takes the place of any other, as in Gunicorn.
 * @param folder where the program was started
 * @param read the file's text. Throws UsageError where there is none
 */
export function withPaste(line: CommandLine, folder: string, read: (path: string) => string): CommandLine {
  const { settings } = line
  if (settings.paste === null || settings.paste === '') return line
  const application = SCHEME + resolve(folder, settings.paste)
  const file = iniFile(application)
  // A file that configures Python's logging says so for the server's logs, too.
  const logs = /^\[loggers\]/m.test(read(file)) ? file : null
  return { ...line, settings: { ...settings, wsgi_app: application, logconfig: settings.logconfig ?? logs } }
}
