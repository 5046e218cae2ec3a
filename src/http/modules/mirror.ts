// mirror: every request is also sent elsewhere, and what is answered there is dropped (ngx_http_mirror_module). The client
// never waits for it, nor does the connection's next request.

import { HTTP, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { flag } from '../../config/values.ts'
import { httpModule, NEXT, WAIT } from '../module.ts'
import { resume } from '../phases.ts'
import type { HttpRequest } from '../request.ts'
import { readRequestBody } from '../request-body.ts'
import { DroppedOutput, makeSubrequest, startInBackground } from '../subrequest.ts'

const everywhere = HTTP | SERVER | LOCATION

const mirrorDirective: Directive<readonly string[] | null> = {
  in: everywhere,
  args: [1, 1],
  default: null,
  repeatable: true,
  parse([uri], at, soFar) {
    if (uri !== 'off') {
      if (soFar === null) at.fail('"mirror" directive is duplicate')
      return [...(soFar ?? []), uri!]
    }
    return soFar === undefined ? null : at.fail('"mirror" directive is duplicate')
  },
}

const directives = {
  mirror: mirrorDirective,
  mirror_request_body: flag(everywhere, true),
}

export const mirror = httpModule({
  name: 'mirror',
  directives,
  compile(conf, at) {
    if (conf.mirror === null) return
    at.step('precontent', startMirrors, { uris: conf.mirror, withBody: conf.mirror_request_body })
  },
})

interface Mirror {
  readonly uris: readonly string[]
  readonly withBody: boolean
}

function startMirrors(r: HttpRequest, conf: Mirror): number {
  if (r.parent !== null) return NEXT
  if (conf.withBody && r.body !== null && !r.body.complete) {
    readRequestBody(r, request => {
      start(request, conf)
      resume(request, NEXT)
    })
    return WAIT
  }
  start(r, conf)
  return r.done ? WAIT : NEXT
}

function start(r: HttpRequest, { uris, withBody }: Mirror): void {
  for (const uri of uris) {
    const sub = makeSubrequest(r, uri, r.args, new DroppedOutput(r, nobodyWaits))
    if (sub === null) return
    sub.method = r.method
    if (withBody && r.body !== null) {
      r.body.share()
      sub.body = r.body
    }
    startInBackground(sub)
  }
}

function nobodyWaits(): void {}
