// SSI in a body's path: commands are carried out where they stand, and what they come to takes their place. Includes run at
// the same time and come out in order (postponed.ts); a command that must wait for one holds the rest of the page.

import { ERR } from '../../../log/error-log.ts'
import { BodyStage, EMPTY, FLUSH, LAST } from '../../output.ts'
import { InsertedOutput, PostponedBody, type PartsOwner } from '../../postponed.ts'
import type { HttpRequest } from '../../request.ts'
import {
  CollectedOutput,
  mainOf,
  makeSubrequest,
  shareBody,
  startSubrequest,
  type SubrequestOutput,
} from '../../subrequest.ts'
import { COMMANDS, commandText, echoed, encode, encodingOf, parametersOf } from './commands.ts'
import type { Encoding, Parameters } from './commands.ts'
import { evaluate, FALSE, INVALID, test, TRUE, type FindVariable } from './expression.ts'
import { readInclude } from './include.ts'
import { BUFFER_SIZE, bufferSizes, pageOf, setDateFormat, type SsiPage } from './page.ts'
import { BROKEN, COMMAND, SsiParser, TEXT } from './parser.ts'

export interface SsiConf {
  readonly valueMax: number
  readonly silent: boolean
  readonly find: FindVariable
}

const OPENING = Buffer.from('<!--', 'latin1')
const ERROR_MESSAGE = '[an error occurred while processing the directive]'
/** `if`s within each other. */
const NESTING_MAX = 64

/** An `if` that has no `endif` yet. */
interface Branch {
  /** Is the `if` itself in a place that is shown? */
  readonly isShown: boolean
  /** Has one of its branches been taken? */
  isChosen: boolean
  hasElse: boolean
}

export class SsiStage extends BodyStage implements PartsOwner {
  private readonly r: HttpRequest
  private readonly conf: SsiConf
  private readonly parser: SsiParser
  private readonly page: SsiPage
  private readonly body: PostponedBody
  /** What has not been looked at yet; null: nothing. */
  private input: Buffer | null = null
  private inputAt = 0
  private inputFlags = 0
  private isRunning = false
  private isHeld = false
  /** What has been made and not been sent yet. */
  private made: Buffer[] = []
  /** Subrequests to be started when the piece at hand has been looked at. */
  private waiting: HttpRequest[] = []
  private awaited: HttpRequest | null = null
  private readonly branches: Branch[] = []
  private isShown = true
  private inBlock = false
  private encoding: Encoding = 'entity'
  private errorMessage = ERROR_MESSAGE

  constructor(r: HttpRequest, conf: SsiConf) {
    super()
    this.r = r
    this.conf = conf
    this.parser = new SsiParser(conf.valueMax)
    this.page = pageOf(r)
    this.body = new PostponedBody(r, this)
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    if (this.input === null) {
      this.input = bytes
      this.inputAt = 0
      this.inputFlags = flags
    } else {
      this.input = Buffer.concat([this.input.subarray(this.inputAt), bytes])
      this.inputAt = 0
      this.inputFlags |= flags
    }
    this.run(r)
    this.isHeld = this.input !== null || this.body.isFull
    return !this.isHeld
  }

  override drain(_r: HttpRequest): void {
    this.body.drain()
  }

  partsMoved(r: HttpRequest): void {
    if (this.isRunning) return
    this.run(r)
    if (r.done || !this.isHeld || this.input !== null || this.body.isFull) return
    this.isHeld = false
    super.drain(r)
  }

  override destroy(_r: HttpRequest): void {
    this.input = null
    this.made = []
    this.waiting = []
    this.body.destroy()
  }

  private mustWait(): boolean {
    return this.awaited !== null || this.body.isFull
  }

  /** As far as it goes. */
  private run(r: HttpRequest): void {
    if (this.isRunning || r.done) return
    this.isRunning = true
    this.body.cork()
    while (this.input !== null && !this.mustWait() && !r.done) {
      this.parse(r, this.input)
      this.startWaiting(r)
    }
    this.body.uncork()
    this.isRunning = false
  }

  private parse(r: HttpRequest, bytes: Buffer): void {
    const { parser } = this
    while (this.inputAt < bytes.length && !this.mustWait()) {
      const kind = parser.read(bytes, this.inputAt, bytes.length)
      this.inputAt = parser.at
      if (parser.problem !== '') {
        r.log(ERR, parser.problem)
        parser.problem = ''
      }
      if (kind === TEXT) this.take(bytes)
      else if (kind === COMMAND) this.carryOut(r)
      else if (kind === BROKEN) this.complain()
      else break
    }
    const flags = this.inputFlags
    if (this.inputAt < bytes.length) {
      this.send(0)
      return
    }
    this.input = null
    if ((flags & LAST) !== 0 && parser.rest() > 0) this.put(OPENING.subarray(0, parser.rest()))
    this.send(flags)
  }

  private take(bytes: Buffer): void {
    const { parser } = this
    if (parser.prefix > 0) this.put(OPENING.subarray(0, parser.prefix))
    if (parser.textEnd > parser.textStart) this.put(bytes.subarray(parser.textStart, parser.textEnd))
  }

  private put(bytes: Buffer): void {
    if (this.inBlock) this.page.addToBlock(bytes.toString('latin1'))
    else if (this.isShown && bytes.length > 0) this.made.push(bytes)
  }

  private putText(text: string): void {
    this.put(Buffer.from(text, 'latin1'))
  }

  /** What was made since goes on in one piece. */
  private send(flags: number): void {
    const { made } = this
    if (made.length === 0 && (flags & (LAST | FLUSH)) === 0) return
    this.made = []
    this.body.write(made.length === 0 ? EMPTY : made.length === 1 ? made[0]! : Buffer.concat(made), flags)
  }

  /** Told even where nothing is shown: who wrote the page must find out. */
  private complain(): void {
    if (!this.conf.silent && this.errorMessage !== '') this.made.push(Buffer.from(this.errorMessage, 'latin1'))
  }

  // ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private carryOut(r: HttpRequest): void {
    const { parser } = this
    const command = COMMANDS.get(parser.command)
    if (this.inBlock) {
      if (parser.command === 'endblock') this.inBlock = false
      else if (command !== undefined) this.page.addToBlock(commandText(parser))
      return
    }
    if (!this.isShown && !CONDITIONALS.has(parser.command)) return
    if (command === undefined) {
      r.log(ERR, `invalid SSI command: "${parser.command}"`)
      this.complain()
      return
    }
    const given = parametersOf(r, command, parser)
    if (given === null || !this.execute(r, command.name, given)) this.complain()
  }

  /** False: it was wrong, which has been logged. */
  private execute(r: HttpRequest, name: string, given: Parameters): boolean {
    const { find } = this.conf
    switch (name) {
      case 'include':
        return this.include(r, given)
      case 'echo': {
        const text = echoed(r, given, find)
        if (text === '') return true
        this.encoding = encodingOf(r, given, this.encoding)
        this.putText(encode(text, this.encoding))
        return true
      }
      case 'config':
        this.errorMessage = given.get('errmsg') ?? this.errorMessage
        if (given.has('timefmt')) setDateFormat(r, given.get('timefmt')!)
        return true
      case 'set': {
        const value = evaluate(r, given.get('value')!, find)
        return value !== null && this.page.set(given.get('var')!.toLowerCase(), value)
      }
      case 'if':
        return this.begin(r, given)
      case 'elif':
      case 'else':
      case 'endif':
        return this.branch(r, name, given)
      case 'block':
        this.inBlock = this.page.openBlock(given.get('name')!)
        return this.inBlock
      default:
        // An `endblock` where there is no block.
        return true
    }
  }

  private begin(r: HttpRequest, given: Parameters): boolean {
    if (this.branches.length === NESTING_MAX) {
      r.log(ERR, 'too many "if" commands inside each other')
      return false
    }
    const isTrue = this.isShown ? test(r, given.get('expr')!, this.conf.find) : FALSE
    if (isTrue === INVALID) return false
    this.branches.push({ isShown: this.isShown, isChosen: isTrue === TRUE, hasElse: false })
    this.isShown = isTrue === TRUE
    return true
  }

  private branch(r: HttpRequest, name: string, given: Parameters): boolean {
    const branch = this.branches.at(-1)
    if (branch === undefined || (branch.hasElse && name !== 'endif')) {
      r.log(ERR, `invalid context of SSI command: "${name}"`)
      return false
    }
    if (name === 'endif') {
      this.branches.pop()
      this.isShown = branch.isShown
      return true
    }
    branch.hasElse = name === 'else'
    if (!branch.isShown || branch.isChosen) this.isShown = false
    else {
      const isTrue = name === 'else' ? TRUE : test(r, given.get('expr')!, this.conf.find)
      if (isTrue === INVALID) return false
      branch.isChosen = isTrue === TRUE
      this.isShown = branch.isChosen
    }
    return true
  }

  // ── include ──────────────────────────────────────────────────────────────────────────────────────────────────────

  private include(r: HttpRequest, given: Parameters): boolean {
    const wanted = readInclude(r, given, this.conf.find)
    if (wanted === null) return false
    const { uri, args, set, stub } = wanted
    let output: SubrequestOutput
    if (set !== '' && this.page.get(set.toLowerCase()) === undefined) this.page.set(set.toLowerCase(), '')
    if (set !== '') output = new SetOutput(this.page, set.toLowerCase(), r, sub => this.over(sub))
    else {
      this.send(0)
      output = new InsertedOutput(this.body, stub, sub => this.over(sub))
    }
    const sub = makeSubrequest(r, uri, args, output)
    if (sub === null) return false
    shareBody(r, sub)
    if (output instanceof InsertedOutput) this.body.insert(output)
    this.waiting.push(sub)
    if (wanted.waits) this.awaited = sub
    return true
  }

  private startWaiting(r: HttpRequest): void {
    const { waiting } = this
    this.waiting = []
    for (const sub of waiting) {
      if (r.done) return
      if (sub.stream instanceof InsertedOutput) this.body.start(sub)
      else if (startSubrequest(sub)) (sub.stream as SetOutput).keepValue(sub)
      if (sub.done && this.awaited === sub) this.awaited = null
    }
  }

  private over(sub: HttpRequest): void {
    if (this.awaited !== sub) return
    this.awaited = null
    this.partsMoved(this.r)
  }
}

const CONDITIONALS = new Set(['if', 'elif', 'else', 'endif'])

/** A subrequest's answer as the value of a variable. */
class SetOutput extends CollectedOutput {
  private readonly page: SsiPage
  private readonly variable: string

  constructor(page: SsiPage, variable: string, parent: HttpRequest, done: (sub: HttpRequest) => void) {
    super(parent, sub => {
      this.keepValue(sub)
      done(sub)
    })
    this.page = page
    this.variable = variable
  }

  protected limit(sub: HttpRequest): number {
    return bufferSizes.get(sub) ?? BUFFER_SIZE
  }

  /** An answer that does not fit is no answer: the page cannot be what it should be. */
  keepValue(sub: HttpRequest): void {
    if (this.aborted) abort(mainOf(sub))
    else if (sub.status < 300) this.page.set(this.variable, this.body().toString('latin1'))
  }
}

function abort(r: HttpRequest): void {
  r.stream.abort(r)
}
