// `app_status`: a page of JSON with what each application's queue and workers are doing, for people and for whoever watches.

import { LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { APPLICATIONS, type Application } from '../app/application.ts'
import { httpModule } from '../module.ts'
import { RUNS } from '../notes.ts'
import { respond } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import type { Registry } from '../setup.ts'

const directives = {
  app_status: {
    in: SERVER | LOCATION,
    args: [0, 0],
    default: false,
    inheritedBy: 0,
    parse: () => true,
  } satisfies Directive<boolean>,
}

export const appStatus = httpModule({
  name: 'app-status',
  directives,
  compile(conf, at, http) {
    if (conf.app_status) at.content(show, http.registry(APPLICATIONS), RUNS)
  },
})

function show(r: HttpRequest, applications: Registry<Application>): number {
  if (r.method !== 'GET' && r.method !== 'HEAD') return 405
  const apps: Record<string, unknown> = {}
  for (const one of applications.values()) apps[one.name] = one.snapshot()
  r.addHeader('Cache-Control', 'no-store')
  return respond(r, 200, 'application/json', `${JSON.stringify({ apps }, null, 2)}\n`)
}
