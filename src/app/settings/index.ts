// All settings, by section as in Gunicorn's manual, and Portico's own.

import { processors } from '../../lib/processors.ts'
import { logging, processNaming } from './logging.ts'
import { serverMechanics } from './mechanics.ts'
import { control, dirtyArbiterHooks, dirtyArbiters, http2Settings, serverHooks, ssl } from './protocols.ts'
import { configFile, debugging, security, serverSocket, workerProcesses } from './serving.ts'
import { countAbove, oneOf, single, stickyBy, text, toggle } from './setting.ts'
import type { Setting } from './setting.ts'

export const gunicornSettings = {
  ...configFile,
  ...serverSocket,
  ...workerProcesses,
  ...security,
  ...debugging,
  ...serverMechanics,
  ...logging,
  ...processNaming,
  ...serverHooks,
  ...ssl,
  ...http2Settings,
  ...dirtyArbiters,
  ...dirtyArbiterHooks,
  ...control,
}

/** What Gunicorn does not have. */
export const ownSettings = {
  front_threads: single(
    {
      flags: ['--front-threads'],
      value: 'N',
      default: 1,
      about: 'Threads that take connections, "auto" for as many as there are processors.',
    },
    word => (word === 'auto' ? processors() : countAbove(1)(word)),
  ),
  max_workers: single(
    {
      flags: ['--max-workers'],
      value: 'N',
      default: 0,
      about: 'How many workers there may be while requests wait; "--workers 2..16" says both.',
    },
    countAbove(0),
  ),
  python: single(
    {
      flags: ['--python'],
      value: 'PATH',
      default: null,
      about: 'The interpreter; else $PORTICO_PYTHON, the one of $VIRTUAL_ENV, or python3.',
    },
    text,
  ),
  forwarded: single(
    {
      flags: ['--forwarded'],
      value: 'MODE',
      default: null,
      about:
        "Takes the client's address from trusted proxies' X-Forwarded-For (x-forwarded) or Forwarded (forwarded), or not (off).",
    },
    oneOf('off', 'x-forwarded', 'forwarded'),
  ),
  lifespan_state: single(
    {
      flags: ['--lifespan-state'],
      value: 'MODE',
      default: 'copy',
      about:
        "What requests get of an ASGI lifespan's state: a copy each, or one dict for all, as in Gunicorn (shared).",
    },
    oneOf('copy', 'shared'),
  ),
  sticky: single(
    {
      flags: ['--sticky'],
      value: 'HOW',
      default: null,
      about:
        'A client comes to the same worker again, by a cookie that it is given (cookie), by its address (address) or by the session that a field of a response has named (header:Mcp-Session-Id); for workers of kind asgi or gevent and programs of Node.',
    },
    stickyBy,
  ),
  hsts: single(
    {
      flags: ['--hsts'],
      value: 'SECONDS',
      default: null,
      about: 'With a certificate: browsers are told not to come without TLS for so long.',
    },
    countAbove(0),
  ),
  server_tokens: single(
    {
      flags: ['--server-tokens'],
      value: 'MODE',
      default: 'on',
      about: 'The Server field tells name and version (on), or the name alone (off).',
    },
    oneOf('on', 'off'),
  ),
  help: toggle({ flags: ['-h', '--help'], about: 'Shows this.' }),
  version: toggle({ flags: ['-v', '--version'], about: 'Shows the version.' }),
}

/** What a configuration file may set: other names of ours are words that a file may use for itself. */
export const fileSettings = { ...gunicornSettings, lifespan_state: ownSettings.lifespan_state }

/** In a configuration file only. */
export const hookNames = Object.keys({ ...serverHooks, ...dirtyArbiterHooks }) as (
  | keyof typeof serverHooks
  | keyof typeof dirtyArbiterHooks
)[]

export const allSettings = { ...gunicornSettings, ...ownSettings }

export type SettingName = keyof typeof allSettings

export interface Section {
  readonly title: string
  readonly settings: Readonly<Record<string, Setting<unknown>>>
}

/** In the order of the help. */
export const sections: readonly Section[] = [
  { title: 'Config file', settings: configFile },
  { title: 'Server socket', settings: serverSocket },
  { title: 'Worker processes', settings: workerProcesses },
  { title: 'Security', settings: security },
  { title: 'Server mechanics', settings: serverMechanics },
  { title: 'Logging', settings: logging },
  { title: 'Process naming', settings: processNaming },
  { title: 'Debugging', settings: debugging },
  { title: 'SSL', settings: ssl },
  { title: 'HTTP/2', settings: http2Settings },
  { title: 'Control', settings: control },
  { title: 'Server hooks', settings: serverHooks },
  { title: 'Dirty arbiters', settings: dirtyArbiters },
  { title: 'Dirty arbiter hooks', settings: dirtyArbiterHooks },
  { title: 'Portico', settings: ownSettings },
]
