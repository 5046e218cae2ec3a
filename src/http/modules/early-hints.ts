// early_hints: for which requests 103 responses of upstreams go on to the client.

import { HTTP, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { earlyHintsConditions } from '../early-hints.ts'
import { httpModule } from '../module.ts'

const conditions: Directive<readonly Template[]> = {
  in: HTTP | SERVER | LOCATION,
  args: [1, Infinity],
  default: [],
  parse: (words, at) => words.map(word => Template.parse(word, at)),
}

export const earlyHints = httpModule({
  name: 'early-hints',
  directives: { early_hints: conditions },
  compile(conf, at) {
    if (conf.early_hints.length === 0) return
    at.keep(
      earlyHintsConditions,
      conf.early_hints.map(condition => at.value(condition)),
    )
  },
})
