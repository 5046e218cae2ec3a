// Has every thread of the front done what it was told? Messages arrive in their order: a thread that answers has.

/** Of the question, and of the answer: both are its number. */
export const ECHO_TOPIC = 'echo'

/** A thread that takes longer hangs, or is not there. */
const ANSWER_MS = 5000

interface Question {
  left: number
  readonly timer: NodeJS.Timeout
  readonly resolve: () => void
}

export class Echoes {
  private readonly ask: (id: number) => void
  private readonly threads: number
  private readonly questions = new Map<number, Question>()
  private last = 0
  private isOver = false

  /** @param threads how many will answer */
  constructor(threads: number, ask: (id: number) => void) {
    this.threads = threads
    this.ask = ask
  }

  /** Resolves when they have, or have had the time to. */
  heard(): Promise<void> {
    const id = ++this.last
    return new Promise(resolve => {
      if (this.isOver) {
        resolve()
        return
      }
      const timer = setTimeout(() => this.settle(id), ANSWER_MS).unref()
      this.questions.set(id, { left: this.threads, timer, resolve })
      this.ask(id)
    })
  }

  answered(id: number): void {
    const question = this.questions.get(id)
    if (question !== undefined && --question.left === 0) this.settle(id)
  }

  /** The threads have gone. */
  end(): void {
    this.isOver = true
    for (const id of Array.from(this.questions.keys())) this.settle(id)
  }

  private settle(id: number): void {
    const { timer, resolve } = this.questions.get(id)!
    clearTimeout(timer)
    this.questions.delete(id)
    resolve()
  }
}

/**
 * For a thread: calls `answer` when what it has begun by then is on its way. A connection that it has just opened is written to in a
 * later turn.
 */
export function echo(answer: () => void): void {
  setImmediate(() => setImmediate(answer))
}
