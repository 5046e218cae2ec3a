// `set` of a stream server: variables, given values when the client is known and before anything is asked of it
// (ngx_stream_set_module).

import { STREAM_SERVER, type Site } from '../config/directive.ts'
import { Template } from '../config/template.ts'
import { list } from '../config/values.ts'
import { variableName } from '../http/cached-variable.ts'
import { NEXT, type Value, type Variable } from '../http/module.ts'
import type { HttpRequest } from '../http/request.ts'
import type { HttpSetup } from '../http/setup.ts'
import type { StreamServer } from './module.ts'

export interface SetDeclaration {
  readonly name: string
  readonly template: Template
  readonly site: Site
}

export const set = list(STREAM_SERVER, [2, 2], ([name, value], at): SetDeclaration => ({
  name: variableName(name!, at),
  template: Template.parse(value!, at),
  site: at,
}))

interface Assignment {
  readonly variable: Variable
  readonly value: Value
}

export function assignments(declared: readonly SetDeclaration[], stream: HttpSetup): StreamServer['access'] {
  return declared.map(({ name, template, site }) => {
    const conf: Assignment = { variable: stream.variable(name, site), value: stream.value(template) }
    return { run: assign, conf }
  })
}

function assign(r: HttpRequest, { variable, value }: Assignment): number {
  variable.set?.(r, value.get(r))
  return NEXT
}
