// nginx's switches, read as nginx reads them: letters may be joined (`-qt`), values may follow without a blank (`-sstop`).

export type SignalName = 'stop' | 'quit' | 'reopen' | 'reload'

export interface Switches {
  help: boolean
  version: boolean
  /** `-V`: the version and what was built in. */
  configure: boolean
  test: boolean
  dump: boolean
  quiet: boolean
  prefix: string | null
  errorLog: string | null
  file: string | null
  directives: string
  signal: SignalName | null
}

/** What can be wrong, in nginx's words. */
export class SwitchError extends Error {}

const SIGNALS: readonly string[] = ['stop', 'quit', 'reopen', 'reload']

export function parseSwitches(args: readonly string[]): Switches {
  const switches: Switches = {
    help: false,
    version: false,
    configure: false,
    test: false,
    dump: false,
    quiet: false,
    prefix: null,
    errorLog: null,
    file: null,
    directives: '',
    signal: null,
  }
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!
    if (!word.startsWith('-')) throw new SwitchError(`invalid option: "${word}"`)
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!
      if (setFlag(switches, letter)) continue
      const what = valued[letter]
      if (what === undefined) throw new SwitchError(`invalid option: "${letter}"`)
      const value = word.slice(at + 1) || args[++i]
      if (value === undefined) throw new SwitchError(`option "-${letter}" requires ${what}`)
      setValue(switches, letter, value)
      break
    }
  }
  return switches
}

function setFlag(switches: Switches, letter: string): boolean {
  switch (letter) {
    case '?':
    case 'h':
      switches.version = switches.help = true
      return true
    case 'v':
      switches.version = true
      return true
    case 'V':
      switches.version = switches.configure = true
      return true
    case 't':
      switches.test = true
      return true
    case 'T':
      switches.test = switches.dump = true
      return true
    case 'q':
      switches.quiet = true
      return true
    default:
      return false
  }
}

/** The switches that take a value, and how nginx calls it. */
const valued: Readonly<Record<string, string>> = {
  p: 'directory name',
  e: 'file name',
  c: 'file name',
  g: 'parameter',
  s: 'parameter',
}

function setValue(switches: Switches, letter: string, value: string): void {
  // Arguments are decoded as UTF-8 by Node; paths and configuration text are bytes here.
  const bytes = Buffer.from(value, 'utf8').toString('latin1')
  if (letter === 'p') switches.prefix = bytes
  else if (letter === 'e') switches.errorLog = bytes
  else if (letter === 'c') switches.file = bytes
  else if (letter === 'g') switches.directives = bytes
  else if (SIGNALS.includes(value)) switches.signal = value as SignalName
  else throw new SwitchError(`invalid option: "-s ${value}"`)
}
