// Every http module, in the order in which their steps run within a phase and their filters see a head.

import { httpModule, type HttpModule } from '../module.ts'
import { coreDirectives } from '../core.ts'
import { access } from './access.ts'
import { app } from './app.ts'
import { appPass } from './app-pass.ts'
import { authBasic } from './auth-basic.ts'
import { authRequest } from './auth-request.ts'
import { browser } from './browser.ts'
import { emptyGif } from './empty-gif.ts'
import { geo } from './geo.ts'
import { headers } from './headers.ts'
import { indexModule } from './index-module.ts'
import { limitConnections } from './limit-conn.ts'
import { limitRate } from './limit-rate.ts'
import { limitRequests } from './limit-req.ts'
import { log } from './log.ts'
import { map } from './map.ts'
import { mirror } from './mirror.ts'
import { postAction } from './post-action.ts'
import { proxyProtocol } from './proxy-protocol.ts'
import { proxy } from './proxy/index.ts'
import { realip } from './realip.ts'
import { referer } from './referer.ts'
import { rewrite } from './rewrite/index.ts'
import { satisfy } from './satisfy.ts'
import { secureLink } from './secure-link.ts'
import { splitClients } from './split-clients.ts'
import { staticFiles } from './static.ts'
import { stubStatus } from './stub-status.ts'
import { tryFilesModule } from './try-files.ts'
import { upstream } from './upstream.ts'
import { userid } from './userid.ts'

const core = httpModule({ name: 'core', directives: coreDirectives })

export const httpModules: readonly HttpModule[] = [
  core,
  // The stage next to the client.
  limitRate,
  // Variables, which everything below may use; then the client's true address.
  proxyProtocol,
  map,
  geo,
  splitClients,
  browser,
  referer,
  realip,
  limitRequests,
  limitConnections,
  // access: `satisfy` sums up what those before it have said.
  access,
  authBasic,
  authRequest,
  satisfy,
  secureLink,
  // precontent
  tryFilesModule,
  mirror,
  stubStatus,
  emptyGif,
  app,
  appPass,
  upstream,
  proxy,
  rewrite,
  // content: `index` looks for a directory's page before `static` would answer for the directory.
  indexModule,
  staticFiles,
  userid,
  headers,
  log,
  // Behind the log: it tells of the request itself.
  postAction,
]
