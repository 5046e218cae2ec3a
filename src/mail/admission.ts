// Whether a client is let in: somebody is asked (auth-http.ts), perhaps again after a while. Who is refused may have to wait for it,
// and may then say who it is once more.

import { INFO } from '../log/error-log.ts'
import { Authentication } from './auth-http.ts'
import type { MailSession } from './session.ts'

export class Admission {
  /** How often the client has said who it is. */
  attempts = 0
  private readonly session: MailSession
  private authentication: Authentication | null = null
  /** What the client is told when it has waited. null: it has not been refused. */
  private refusal: string | null = null

  constructor(session: MailSession) {
    this.session = session
  }

  /** The client has said who it is. */
  begin(): void {
    this.attempts++
    this.ask()
  }

  private ask(): void {
    this.session.action = 'in http auth state'
    this.authentication = new Authentication(this.session)
    this.authentication.start()
  }

  /** The client is not let in. @param waitMs until it is told; 0: at once, and no more */
  refuse(message: string, code: string, waitMs: number): void {
    const { session } = this
    this.stop()
    session.log(INFO, `client login failed: "${message}"`)
    const text = session.server.protocol.refusal(session, message, code)
    if (waitMs === 0) session.end(text)
    else {
      this.refusal = text
      session.watch(waitMs)
    }
  }

  /** Whoever was asked wants to be asked again. */
  askAgain(waitMs: number): void {
    this.stop()
    this.session.watch(waitMs)
  }

  waited(): void {
    const { refusal } = this
    this.refusal = null
    if (refusal === null) this.ask()
    else this.session.refused(refusal)
  }

  stop(): void {
    this.authentication?.stop()
    this.authentication = null
  }
}
