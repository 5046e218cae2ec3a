// satisfy and auth_delay: what the checks before it in the list amount to (access-phase.ts).

import { accessDirectives, concludeAccess } from '../access/access-phase.ts'
import { httpModule } from '../module.ts'

export const satisfy = httpModule({
  name: 'satisfy',
  directives: accessDirectives,
  compile(conf, at) {
    if (conf.satisfy === 'any') at.step('access', concludeAccess, { any: true, delayMs: conf.auth_delay })
  },
})
