// Finds SSI commands, `<!--#name parameter="value" … -->`, in a body that comes in pieces (ngx_http_ssi_parse). Text
// between them is told as ranges of the piece; what might be the beginning of a command waits for the next piece, and if
// it was none is told as `prefix`: so many bytes of `<!--`.

/** The piece is used up. */
export const MORE = 0
/** Text: `prefix`, then [textStart, textEnd). */
export const TEXT = 1
/** A command: `command`, `names`, `values`. */
export const COMMAND = 2
/** Something that began as one: `problem`. */
export const BROKEN = 3

export const NAME_MAX = 32
export const PARAMETERS_MAX = 16

// States, in the order in which `step` tells their groups apart. Outside; behind `<`, `<!`, `<!-`, `<!--`.
const OUTSIDE = 0
const TAG = 1
const SHARP = 4
// The command's name.
const BEFORE_COMMAND = 5
const IN_COMMAND = 6
// A parameter's name.
const BEFORE_NAME = 7
const IN_NAME = 8
const BEFORE_EQUALS = 9
// Its value.
const BEFORE_VALUE = 10
const IN_VALUE = 11
const ESCAPED = 12
const AFTER_VALUE = 13
// `-->`, of which the first dash is behind us.
const END_DASH = 14
const END_BRACKET = 15
// What is broken, and the end of it.
const LOST = 16
const LOST_DASH = 17
const LOST_BRACKET = 18

const LESS = 60
const DASH = 45
const OPENING = '<!--#'

function isBlank(c: number): boolean {
  return c === 32 || c === 13 || c === 10 || c === 9
}

export class SsiParser {
  /** Where to go on. */
  at = 0
  prefix = 0
  textStart = 0
  textEnd = 0
  command = ''
  names: string[] = []
  values: string[] = []
  problem = ''
  private readonly valueMax: number
  private state = OUTSIDE
  private name = ''
  private value = ''
  private quote = 0

  constructor(valueMax: number) {
    this.valueMax = valueMax
  }

  /** The next thing in bytes[start, end). */
  read(bytes: Buffer, start: number, end: number): number {
    this.prefix = 0
    this.textStart = start
    let p = start
    if (this.state <= SHARP) {
      p = this.readText(bytes, start, end)
      if (this.prefix > 0 || this.textEnd > this.textStart) {
        this.at = p
        return TEXT
      }
    }
    while (p < end) {
      const kind = this.step(bytes[p++]!)
      if (kind !== MORE) {
        this.at = p
        return kind
      }
    }
    this.at = p
    return MORE
  }

  /** At the end of the body: how much of `<!--` is text after all. */
  rest(): number {
    return this.state <= SHARP ? this.state : 0
  }

  /** Up to the beginning of a command's name, or the end. */
  private readText(bytes: Buffer, start: number, end: number): number {
    // Of `<!--#`, what earlier pieces ended with; whether it is text is not known yet.
    let carried = this.state
    let tagAt = start
    let p = start
    while (p < end) {
      if (this.state === OUTSIDE) {
        const found = bytes.indexOf(LESS, p)
        if (found < 0 || found >= end) {
          this.textEnd = end
          return end
        }
        tagAt = found
        p = found + 1
        this.state = TAG
        continue
      }
      const c = bytes[p]!
      if (c === OPENING.charCodeAt(this.state)) {
        p++
        if (this.state++ < SHARP) continue
        // BEFORE_COMMAND
        this.textEnd = tagAt
        return p
      }
      if (carried > 0) {
        this.prefix = carried
        carried = 0
      }
      this.state = OUTSIDE
    }
    this.textEnd = this.state === OUTSIDE ? end : tagAt
    return end
  }

  /** A byte behind `<!--#`. */
  private step(c: number): number {
    const { state } = this
    if (state <= IN_COMMAND) return this.stepCommand(c)
    if (state <= BEFORE_EQUALS) return this.stepName(c)
    if (state <= AFTER_VALUE) return this.stepValue(c)
    return state <= END_BRACKET ? this.stepEnd(c) : this.stepLost(c)
  }

  private stepCommand(c: number): number {
    if (this.state === BEFORE_COMMAND) return isBlank(c) ? MORE : this.beginCommand(c)
    if (isBlank(c)) return this.go(BEFORE_NAME)
    if (c === DASH) return this.go(END_DASH)
    if (this.command.length === NAME_MAX) return this.lose(`the "${this.command}${char(c)}..." SSI command is too long`)
    this.command += char(c)
    return MORE
  }

  private beginCommand(c: number): number {
    this.command = char(c)
    this.names = []
    this.values = []
    this.problem = ''
    return this.go(IN_COMMAND)
  }

  private stepName(c: number): number {
    switch (this.state) {
      case BEFORE_NAME:
        if (isBlank(c)) return MORE
        if (c === DASH) return this.go(END_DASH)
        this.name = char(c)
        this.value = ''
        return this.go(IN_NAME)
      case IN_NAME:
        if (isBlank(c)) return this.go(BEFORE_EQUALS)
        if (c === 61) return this.go(BEFORE_VALUE)
        if (c === DASH) return this.unexpected(c, `after "${this.name}" parameter`)
        if (this.name.length === NAME_MAX)
          return this.lose(`too long "${this.name}${char(c)}..." parameter in "${this.command}" SSI command`)
        this.name += char(c)
        return MORE
      default:
        if (isBlank(c)) return MORE
        return c === 61 ? this.go(BEFORE_VALUE) : this.unexpected(c, `after "${this.name}" parameter`)
    }
  }

  private stepValue(c: number): number {
    switch (this.state) {
      case BEFORE_VALUE:
        if (isBlank(c)) return MORE
        if (c !== 34 && c !== 39) return this.unexpected(c, `before value of "${this.name}" parameter`)
        this.quote = c
        return this.go(IN_VALUE)
      case IN_VALUE:
        if (c === this.quote) return this.endValue()
        if (c === 92) this.state = ESCAPED
        return this.addToValue(c)
      case ESCAPED:
        this.state = IN_VALUE
        return this.addToValue(c)
      default:
        if (isBlank(c)) return this.go(BEFORE_NAME)
        if (c === DASH) return this.go(END_DASH)
        return this.unexpected(c, `after "${this.value}" value of "${this.name}" parameter`)
    }
  }

  private stepEnd(c: number): number {
    if (this.state === END_DASH) return c === DASH ? this.go(END_BRACKET) : this.unexpected(c, '')
    if (c !== 62) return this.unexpected(c, '')
    this.state = OUTSIDE
    return COMMAND
  }

  private stepLost(c: number): number {
    if (this.state === LOST) return c === DASH ? this.go(LOST_DASH) : MORE
    if (this.state === LOST_DASH) return this.go(c === DASH ? LOST_BRACKET : LOST)
    if (c !== 62) return this.go(LOST)
    this.state = OUTSIDE
    return BROKEN
  }

  private go(state: number): number {
    this.state = state
    return MORE
  }

  /** Everything up to `-->` is skipped. */
  private lose(problem: string): number {
    this.problem = problem
    return this.go(LOST)
  }

  private unexpected(c: number, where: string): number {
    const before = where === '' ? '' : `${where} `
    this.lose(`unexpected "${char(c)}" symbol ${before}in "${this.command}" SSI command`)
    // It may be the beginning of the end.
    return c === DASH ? this.go(LOST_DASH) : MORE
  }

  private addToValue(c: number): number {
    if (this.value.length < this.valueMax) {
      this.value += char(c)
      return MORE
    }
    const { value, name, command } = this
    return this.lose(`too long "${value}${char(c)}..." value of "${name}" parameter in "${command}" SSI command`)
  }

  private endValue(): number {
    // One more than there may be is enough to tell that there are too many.
    if (this.names.length <= PARAMETERS_MAX) {
      this.names.push(this.name)
      this.values.push(this.value)
    }
    return this.go(AFTER_VALUE)
  }
}

function char(c: number): string {
  return String.fromCharCode(c)
}
