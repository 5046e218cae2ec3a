// The rules at work. A rule answers GO for the rule that follows, or what the phase's step answers: NEXT leaves the
// phase, a status ends the request.

import { CRIT, DEBUG, ERR, NOTICE } from '../../../log/error-log.ts'
import { contentType } from '../../files/mime.ts'
import { NEXT, type Value, type Variable } from '../../module.ts'
import { DIRECTORY, FAILED as UNREADABLE, REGULAR } from '../../files/open-file.ts'
import type { FileFinder } from '../../files/open-file-cache.ts'
import { redirectTo, respond } from '../../output.ts'
import { captures, execute, FAILED, MATCHED, type Pattern } from '../../regex.ts'
import type { HttpRequest } from '../../request.ts'
import type { LocationRuntime } from '../../runtime.ts'
import type { FileTest } from './condition.ts'
import { unescapeRedirect, type Text } from './text.ts'

export const GO = -1
/** A condition's third answer. */
const GAVE_UP = -2

export abstract class Rule {
  abstract run(r: HttpRequest): number
}

export interface Rules {
  readonly list: readonly Rule[]
  /** rewrite_log */
  readonly logs: boolean
}

// nginx's script engine begins by encoding captures, and no longer does once a rewrite has been made. Rules run without
// a pause, so one of these is enough.
let escapes = true
let logs = false

/** The step of both rewrite phases. */
export function runRules(r: HttpRequest, rules: Rules): number {
  escapes = true
  logs = rules.logs || r.location.errorLog.level >= DEBUG
  const answer = runList(r, rules.list)
  return answer === GO ? NEXT : answer
}

function runList(r: HttpRequest, list: readonly Rule[]): number {
  for (let i = 0; i < list.length; i++) {
    const answer = list[i]!.run(r)
    if (answer !== GO) return answer
  }
  return GO
}

/** `$1` and the like are gone where a rule's pattern does not match. */
function match(r: HttpRequest, pattern: Pattern, text: string): number {
  const answer = execute(r, pattern, text)
  if (answer === FAILED) return FAILED
  if (answer !== MATCHED) captures.set(r, null)
  if (logs) r.log(NOTICE, `"${pattern.text}" ${answer === MATCHED ? 'matches' : 'does not match'} "${text}"`)
  return answer
}

export class Rewrite extends Rule {
  private readonly pattern: Pattern
  private readonly path: Text
  private readonly args: Text | null
  private readonly addsArgs: boolean
  private readonly after: 'next' | 'last' | 'break'

  constructor(pattern: Pattern, path: Text, args: Text | null, addsArgs: boolean, after: 'next' | 'last' | 'break') {
    super()
    this.pattern = pattern
    this.path = path
    this.args = args
    this.addsArgs = addsArgs
    this.after = after
  }

  run(r: HttpRequest): number {
    const answer = match(r, this.pattern, r.uri)
    if (answer !== MATCHED) return answer === FAILED ? 500 : GO
    r.internal = true
    r.uriIsRaw = false
    r.uriChanged = this.after !== 'break'
    if (this.after === 'break') r.locationMatches = false
    const uri = this.path.get(r, false)
    if (this.args !== null) {
      const args = this.args.get(r, true)
      r.args = this.addsArgs && r.args !== '' ? `${args}&${r.args}` : args
      r.hadArgs = true
    } else if (!this.addsArgs) {
      r.hadArgs ||= r.args !== ''
      r.args = ''
    }
    escapes = false
    if (logs) r.log(NOTICE, `rewritten data: "${uri}", args: "${r.args}"`)
    r.uri = uri
    if (uri === '') {
      r.log(ERR, 'the rewritten URI has a zero length')
      return 500
    }
    return this.after === 'next' ? GO : NEXT
  }
}

export class Redirect extends Rule {
  private readonly pattern: Pattern
  private readonly to: Text
  private readonly hasArgs: boolean
  private readonly addsArgs: boolean
  private readonly status: number

  constructor(pattern: Pattern, to: Text, hasArgs: boolean, addsArgs: boolean, status: number) {
    super()
    this.pattern = pattern
    this.to = to
    this.hasArgs = hasArgs
    this.addsArgs = addsArgs
    this.status = status
  }

  run(r: HttpRequest): number {
    const answer = match(r, this.pattern, r.uri)
    if (answer !== MATCHED) return answer === FAILED ? 500 : GO
    let to = unescapeRedirect(this.to.get(r, true))
    if (this.addsArgs && r.args !== '') to += (this.hasArgs ? '&' : '?') + r.args
    if (logs) r.log(NOTICE, `rewritten redirect: "${to}"`)
    redirectTo(r, to)
    return this.status
  }
}

export class Return extends Rule {
  private readonly status: number
  private readonly text: Value | null
  private readonly constant: string | null

  constructor(status: number, text: Value | null) {
    super()
    this.status = status
    this.text = text
    // Below 400 there is no page: the status comes with an empty body.
    this.constant = text === null ? (status < 400 ? '' : null) : text.constant
  }

  run(r: HttpRequest): number {
    const { status, text } = this
    if (status >= 400 && (text === null || text.constant === '')) return status
    if (r.body !== null && r.body.broken) return 400
    // The text may say it ($status); an error page's is that of the error.
    r.status = r.errorStatus === 0 ? status : r.errorStatus
    const body = this.constant ?? text?.get(r) ?? ''
    if (status === 301 || status === 302 || status === 303 || status === 307 || status === 308) {
      redirectTo(r, body)
      if (r.body !== null) r.stream.dropBody?.()
      if (body === '') r.addHeader('Location', '')
      return status
    }
    return respond(r, status, contentType(r), body)
  }
}

export class Assign extends Rule {
  private readonly variable: Variable
  private readonly value: Text

  constructor(variable: Variable, value: Text) {
    super()
    this.variable = variable
    this.value = value
  }

  run(r: HttpRequest): number {
    this.variable.set!(r, this.value.get(r, escapes))
    return GO
  }
}

export class Break extends Rule {
  run(r: HttpRequest): number {
    if (r.uriChanged) {
      r.locationMatches = false
      r.uriChanged = false
    }
    return NEXT
  }
}

/** 1: it holds; 0: it does not; GAVE_UP. */
export type Test = (r: HttpRequest) => number

/** In a location, what the `if` block configures is in force from here on. */
export class If extends Rule {
  private readonly holds: Test
  private readonly list: readonly Rule[]
  private readonly location: LocationRuntime | null

  constructor(holds: Test, list: readonly Rule[], location: LocationRuntime | null) {
    super()
    this.holds = holds
    this.list = list
    this.location = location
  }

  run(r: HttpRequest): number {
    const answer = this.holds(r)
    if (answer === GAVE_UP) return 500
    if (answer === 0) return GO
    if (this.location !== null) r.location = this.location
    return runList(r, this.list)
  }
}

export function truth(value: Value): Test {
  return r => {
    const text = value.get(r)
    return Number(text !== '' && text !== '0')
  }
}

export function equality(value: Value, other: Text, negated: boolean): Test {
  return r => Number((value.get(r) === other.get(r, escapes)) !== negated)
}

export function matching(value: Value, pattern: Pattern, negated: boolean): Test {
  return r => {
    const answer = match(r, pattern, value.get(r))
    return answer === FAILED ? GAVE_UP : Number((answer === MATCHED) !== negated)
  }
}

export function fileTest(test: FileTest, path: Text, files: FileFinder, negated: boolean): Test {
  return r => {
    const file = files.look(path.get(r, escapes), r)
    if (file.kind === UNREADABLE) {
      if (!MISSING.has(file.code)) r.log(CRIT, file.failure)
      return Number(negated)
    }
    const found =
      test === 'x'
        ? file.isExecutable
        : test === 'f'
          ? file.kind === REGULAR
          : test === 'd'
            ? file.kind === DIRECTORY
            : file.kind === REGULAR || file.kind === DIRECTORY
    return Number(found !== negated)
  }
}

/** Reasons why there is no such file, which is all that was asked. */
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'])
