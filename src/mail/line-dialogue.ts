// What the dialogues of POP3 and SMTP have in common: commands are lines, and SASL goes the same way in both.

import { MailCommand, readAnswer, readCommand, type Grammar } from '../codec/mail-command.ts'
import type { Dialogue } from './module.ts'
import { Sasl } from './sasl.ts'
import type { MailSession } from './session.ts'

export abstract class LineDialogue implements Dialogue {
  readonly command = new MailCommand()
  protected readonly session: MailSession
  protected readonly sasl: Sasl
  private readonly grammar: Grammar
  private readonly refusal: string

  /** @param prefix of challenges @param enabled mechanisms, as bits @param refusal answers what is no command here */
  constructor(session: MailSession, grammar: Grammar, prefix: string, enabled: number, refusal: string) {
    this.session = session
    this.grammar = grammar
    this.refusal = refusal
    this.sasl = new Sasl(session, prefix, enabled)
  }

  /** Answers a command, as answer(). */
  protected abstract obey(): string | null

  read(text: string): number {
    return this.sasl.pending ? readAnswer(text, this.command) : readCommand(text, this.grammar, this.command)
  }

  answer(): string | null {
    return this.sasl.pending ? this.step(this.sasl.answer(this.command.args[0]!)) : this.obey()
  }

  /** @param step what SASL has come to */
  protected step(step: string | null | false): string | null {
    return step === false ? this.invalid() : step
  }

  invalid(): string {
    this.restart()
    return this.refusal
  }

  restart(): void {
    this.sasl.reset()
  }
}
