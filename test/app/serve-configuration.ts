// What a command line of `portico serve` comes to.

import { readCommandLine } from '../../src/app/settings/command-line.ts'
import { configurationText } from '../../src/app/settings/configuration.ts'

export function configuration(line: string, environment: Record<string, string> = {}): string {
  const commandLine = readCommandLine(line.split(' '), environment)
  const addresses = commandLine.settings.bind.filter(one => one.type !== 'fd')
  return configurationText(commandLine, {
    origin: 'a test',
    folder: '/srv',
    runFolder: '/run/x',
    controlSocket: '/run/user/1/gunicorn.ctl',
    user: null,
    scriptName: '',
    addresses,
  })
}
