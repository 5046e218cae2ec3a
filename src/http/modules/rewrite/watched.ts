// Rules as `portico explain` runs them: the same rules, and a word on what each of them did.

import type { Notes } from '../../notes.ts'
import { captures } from '../../regex.ts'
import type { HttpRequest } from '../../request.ts'
import type { Rule as RuleText } from './directives.ts'
import { Rule, type Test } from './rules.ts'

export class WatchedRule extends Rule {
  private readonly rule: Rule
  private readonly written: Exclude<RuleText, { kind: 'if' }>
  private readonly notes: Notes
  /** `set`: reads what was set. */
  private readonly value: (r: HttpRequest) => string | null

  constructor(rule: Rule, written: WatchedRule['written'], value: WatchedRule['value'], notes: Notes) {
    super()
    this.rule = rule
    this.written = written
    this.value = value
    this.notes = notes
  }

  run(r: HttpRequest): number {
    const { uri } = r
    const answer = this.rule.run(r)
    this.notes.tell('rule', `${textOf(this.written)}: ${this.outcome(r, uri)}`, this.written.site)
    return answer
  }

  private outcome(r: HttpRequest, uri: string): string {
    const { written } = this
    switch (written.kind) {
      case 'return':
        return r.redirect === '' ? `answers ${written.status}` : `answers ${written.status} to "${r.redirect}"`
      case 'set':
        return `is now "${this.value(r) ?? ''}"`
      case 'break':
        return 'no further rule is run'
      default:
        if (captures.get(r) === null) return `does not match "${uri}"`
        if (written.status !== 0) return `matches "${uri}": answers ${written.status} to "${r.redirect}"`
        return `matches "${uri}", which becomes "${r.uri}"${r.args === '' ? '' : ` with arguments "${r.args}"`}`
    }
  }
}

export function watchedTest(test: Test, written: RuleText, notes: Notes): Test {
  return r => {
    const answer = test(r)
    const outcome = answer === 1 ? 'holds' : answer === 0 ? 'does not hold' : 'could not be decided'
    notes.tell('rule', `${textOf(written)}: ${outcome}`, written.site)
    return answer
  }
}

function textOf({ site }: RuleText): string {
  return [site.name, ...site.words.map(({ text, quoted }) => (quoted ? `"${text}"` : text))].join(' ')
}
