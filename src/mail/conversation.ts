// What a client says until it is known who it is, command by command, each answered before the next is read: a client may send
// them all at once, and may be slow to take the answers.

import { CONTINUE, INCOMPLETE } from '../codec/mail-command.ts'
import { INFO } from '../log/error-log.ts'
import type { Dialogue } from './module.ts'
import type { MailSession } from './session.ts'

export class Conversation {
  private readonly session: MailSession
  private readonly dialogue: Dialogue
  /** What has not been read yet. */
  private input = ''
  private errors = 0
  /** The client does not take what it is told. */
  private blocked = false
  private paused = true

  constructor(session: MailSession, dialogue: Dialogue) {
    this.session = session
    this.dialogue = dialogue
  }

  hear(text: string): void {
    this.input += text
    this.proceed()
  }

  /** Nothing is read from now on. */
  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    if (!this.blocked) this.session.connection.resume()
    this.proceed()
  }

  /** Takes away what has been said and not been read. */
  rest(): string {
    const { input } = this
    this.input = ''
    return input
  }

  drained(): void {
    if (!this.blocked) return
    this.blocked = false
    if (!this.paused) this.resume()
  }

  say(text: string): void {
    const { session } = this
    if (session.quit) session.end(text)
    else if (!session.connection.writeText(text)) {
      this.blocked = true
      session.connection.pause()
    }
  }

  private proceed(): void {
    while (!this.paused && !this.blocked && this.input !== '') {
      const used = this.dialogue.read(this.input)
      const { bufferSize } = this.session.server.protocol
      // However it comes, in one piece or in many.
      if (used > bufferSize || (used === INCOMPLETE && this.input.length >= bufferSize)) this.refuseLong(bufferSize)
      else if (used === CONTINUE) this.say('+ OK\r\n')
      else if (used === INCOMPLETE) return
      else this.take(used)
    }
  }

  private take(used: number): void {
    const { dialogue, session } = this
    const line = this.input.slice(0, used)
    this.input = this.input.slice(used)
    if (dialogue.command.name === '') {
      this.countError()
      this.say(dialogue.invalid(line))
      return
    }
    const answer = dialogue.answer()
    if (answer === null) session.authenticate()
    else {
      this.say(answer)
      session.answered()
    }
  }

  private countError(): void {
    this.errors++
    if (this.errors < this.session.server.maxErrors) return
    this.session.log(INFO, 'client sent too many invalid commands')
    this.session.quit = true
  }

  private refuseLong(bufferSize: number): void {
    this.session.log(INFO, `client sent too long command "${this.input.slice(0, bufferSize)}"`)
    this.session.quit = true
    this.say(this.dialogue.invalid(''))
  }
}
