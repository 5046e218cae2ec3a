// The directives `resolver` and `resolver_timeout`; who uses them is http/resolver.ts's matter.

import { httpModule } from '../module.ts'
import { resolverDirectives } from '../resolver.ts'

export const resolver = httpModule({ name: 'resolver', directives: resolverDirectives })
