// An application of kind node that is one file, behind app_pass; what it warns of is in error.log.

import type { Scope } from '../helpers/scope.ts'
import { serve, type Server } from '../helpers/serve.ts'

/** `%%PORT_1%%` and on in `app`, the directives of its block, are further free ports. */
export function serveNode(t: Scope, file: string, source: string, app = 'workers 1;'): Promise<Server> {
  return serve(t, {
    conf: `
error_log error.log warn;
events { }
http {
  access_log off;
  app own { directory %%DIR%%; module ${file}; ${app} }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: { [file]: source },
  })
}
