// Signals note a word and wake the loop; the loop acts. So nothing is interrupted halfway, and a signal that comes twice
// before it is looked at counts once, as with the kernel's own.

/** What a signal asks for, in nginx's words for it. */
export interface Meaning {
  readonly word: Word
  readonly doing: string
}

export type Word =
  | 'terminate'
  | 'quit'
  | 'reconfigure'
  | 'reopen'
  | 'upgrade'
  | 'stop-front'
  | 'more-workers'
  | 'fewer-workers'

/** The order in which words are acted on when several wait: an end makes the others void. */
const ORDER: readonly Word[] = [
  'terminate',
  'quit',
  'reconfigure',
  'reopen',
  'stop-front',
  'upgrade',
  'more-workers',
  'fewer-workers',
]

type Meanings = Readonly<Partial<Record<NodeJS.Signals, Meaning>>>

const meanings: Meanings = {
  SIGTERM: { word: 'terminate', doing: 'exiting' },
  SIGINT: { word: 'terminate', doing: 'exiting' },
  SIGQUIT: { word: 'quit', doing: 'shutting down' },
  SIGHUP: { word: 'reconfigure', doing: 'reconfiguring' },
  SIGUSR1: { word: 'reopen', doing: 'reopening logs' },
  SIGUSR2: { word: 'upgrade', doing: 'changing binary' },
  SIGWINCH: { word: 'stop-front', doing: 'gracefully shutting down the front' },
}

/** In whose way TERM and QUIT stop the program. */
export type StopSignals = 'nginx' | 'gunicorn'

/** Gunicorn's are the other way round: TERM lets requests finish. And it has two more. */
const meaningsBy: Readonly<Record<StopSignals, Meanings>> = {
  nginx: meanings,
  gunicorn: {
    ...meanings,
    SIGTERM: meanings.SIGQUIT!,
    SIGQUIT: meanings.SIGTERM!,
    SIGTTIN: { word: 'more-workers', doing: 'one worker more' },
    SIGTTOU: { word: 'fewer-workers', doing: 'one worker less' },
  },
}

export class Signals {
  private readonly noted = new Set<Word>()
  private waiting: ((word: Word) => void) | null = null

  /** @param tell hears `signal 1 (SIGHUP) received, reconfiguring` */
  constructor(tell: (message: string) => void, stopSignals: StopSignals, daemon: boolean) {
    for (const [name, meaning] of Object.entries(meaningsBy[stopSignals])) {
      process.on(name, (_, number: number) => {
        // As nginx's and Gunicorn's: a terminal sends it when its window changes.
        if (meaning.word === 'stop-front' && !daemon) {
          tell(`signal ${number} (${name}) received, ignored: this is no daemon`)
          return
        }
        tell(`signal ${number} (${name}) received, ${meaning.doing}`)
        this.note(meaning.word)
      })
    }
  }

  note(word: Word): void {
    this.noted.add(word)
    this.wake()
  }

  /** The next word, when there is one. One caller at a time. */
  next(): Promise<Word> {
    return new Promise(resolve => {
      this.waiting = resolve
      this.wake()
    })
  }

  /** Whoever has called next() does not wait any more. */
  abandon(): void {
    this.waiting = null
  }

  private wake(): void {
    const word = ORDER.find(one => this.noted.has(one))
    if (word === undefined || this.waiting === null) return
    this.noted.delete(word)
    const resolve = this.waiting
    this.waiting = null
    resolve(word)
  }
}
