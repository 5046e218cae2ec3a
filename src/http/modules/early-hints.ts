// early_hints: for which requests 103 responses of upstreams and applications go on to the client.

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { predicates } from '../../config/values.ts'
import { earlyHintsConditions } from '../early-hints.ts'
import { httpModule } from '../module.ts'

export const earlyHints = httpModule({
  name: 'early-hints',
  directives: { early_hints: predicates(HTTP | SERVER | LOCATION) },
  compile(conf, at) {
    if (conf.early_hints.length === 0) return
    at.keep(
      earlyHintsConditions,
      conf.early_hints.map(condition => at.value(condition)),
    )
  },
})
