// The core directives of the mail block (ngx_mail_core_module), and `starttls`, which decides what its servers do first.

import { hostname } from 'node:os'
import { MAIL, MAIL_SERVER } from '../config/directive.ts'
import { block, number, one, oneOf, str, time } from '../config/values.ts'
import { listen } from '../http/core/listen.ts'
import { parseMailListen } from './listen.ts'

const anywhere = MAIL | MAIL_SERVER

type ProtocolName = 'imap' | 'pop3' | 'smtp'

const NAMES: readonly ProtocolName[] = ['imap', 'pop3', 'smtp']

const KNOWN = `it must be one of ${NAMES.map(name => `"${name}"`).join(', ')}`

const protocol = one<ProtocolName | null>(
  MAIL_SERVER,
  null,
  (word, at) => NAMES.find(name => name === word) ?? at.fail(`unknown protocol "${word}"`, KNOWN),
)

export const mailDirectives = {
  server: block(MAIL, [0, 0], MAIL_SERVER, (_args, at) => at.inner!),
  listen: listen(MAIL_SERVER, parseMailListen),
  protocol: { ...protocol, inheritedBy: 0, repeatable: true },
  server_name: str(anywhere, ''),
  timeout: time(anywhere, 60_000),
  max_errors: number(anywhere, 5),
  starttls: oneOf(anywhere, ['off', 'on', 'only'], 'off'),
}

/** Which protocol it is where nobody says. */
const PORTS: Readonly<Record<number, ProtocolName>> = {
  25: 'smtp',
  110: 'pop3',
  143: 'imap',
  465: 'smtp',
  587: 'smtp',
  993: 'imap',
  995: 'pop3',
}

export function protocolAt(port: number): ProtocolName | null {
  return PORTS[port] ?? null
}

/** What a server calls itself. */
export function nameOf(configured: string): string {
  return configured === '' ? hostname() : configured
}
