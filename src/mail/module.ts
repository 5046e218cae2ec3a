// What the parts of a mail server are to each other (ngx_mail.h): its settings, the protocol a client speaks until it has logged
// in, and the steps by which it is then logged in elsewhere.

import type { MailCommand } from '../codec/mail-command.ts'
import type { LocationResolver } from '../http/resolver.ts'
import type { Http2Settings } from '../http/h2/directives.ts'
import type { HttpRequest } from '../http/request.ts'
import type { ServerTls } from '../http/ssl/server-tls.ts'
import type { ErrorLog } from '../log/error-log.ts'
import type { AuthHttp } from './auth-http.ts'
import type { ProxySettings } from './proxy.ts'
import type { MailSession } from './session.ts'

export type StartTls = 'off' | 'on' | 'only'

/** One server, as its sessions read it. Times in ms. */
export interface MailServer {
  /** What it calls itself. */
  readonly name: string
  errorLog: ErrorLog
  readonly protocol: MailProtocol
  /** How long a client may take until it has logged in. */
  readonly timeout: number
  /** So many commands that are none end a session. */
  readonly maxErrors: number
  readonly starttls: StartTls
  readonly tls: ServerTls
  readonly http2: Http2Settings
  readonly resolver: LocationResolver | null
  /** In their order: who the client is. */
  readonly access: readonly { readonly run: (r: HttpRequest, conf: any) => number; readonly conf: unknown }[]
  readonly authHttp: AuthHttp
  readonly proxy: ProxySettings
}

/** A protocol as one server speaks it. Texts are whole lines. */
export interface MailProtocol {
  readonly name: 'imap' | 'pop3' | 'smtp'
  /** Bytes that a command may have. */
  readonly bufferSize: number
  readonly internalError: string
  readonly certificateError: string
  readonly noCertificate: string
  /** Calls session.greet() with what a client is told first. */
  greet(session: MailSession): void
  /** Somebody speaks before that (smtp_greeting_delay). Absent: nobody has to wait. */
  readonly tooEarly?: string
  dialogue(session: MailSession): Dialogue
  /** @param code SMTP's, of who knows the users; '' for none */
  refusal(session: MailSession, message: string, code: string): string
  /** How the client is logged in at the server it is passed to. null: it cannot be, which has been logged */
  login(session: MailSession): Login | null
}

/** What is said with one client until it has logged in. */
export interface Dialogue {
  readonly command: MailCommand
  /** @param text what has come and is not used yet; answers what readCommand() does */
  read(text: string): number
  /** Answers the command. null: who the client is, is known now */
  answer(): string | null
  /** Answers what was no command. @param line what it was */
  invalid(line: string): string
  /** Nobody is logged in, and commands may come. */
  restart(): void
}

export interface Login {
  readonly steps: readonly LoginStep[]
  /** What the client gets to hear; null: the answer to the last step. */
  readonly answer: string | null
}

// What an answer is.
export const GOOD = 0
/** It is not there as a whole. */
export const MORE = 1
export const BAD = 2

/** Something is said to the server (nothing in the first step, which is its greeting), and it answers. */
export interface LoginStep {
  readonly text: string
  /** For the log: `sending user name to upstream`. */
  readonly action: string
  /** @param answer as far as it has come, at least four characters, and it ends a line */
  judge(answer: string): number
}

/** A session where a request is expected: by modules that know both. */
export function asRequest(session: MailSession): HttpRequest {
  return session as unknown as HttpRequest
}
