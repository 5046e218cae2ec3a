// Every http module, in the order in which their steps run within a phase and their filters see a head.

import { httpModule, type HttpModule } from '../module.ts'
import { coreDirectives } from '../core/core.ts'
import { access } from './access.ts'
import { acme } from './acme.ts'
import { addedParts, addition } from './addition.ts'
import { api } from './api.ts'
import { app } from './app.ts'
import { appPass } from './app-pass.ts'
import { appTrust } from './app-trust.ts'
import { appStatus } from './app-status.ts'
import { authBasic } from './auth-basic.ts'
import { authRequest } from './auth-request.ts'
import { autoindex } from './autoindex.ts'
import { brotliStatic } from './brotli-static.ts'
import { brotli } from './brotli.ts'
import { bodyEarlyRead } from './body-early-read.ts'
import { browser } from './browser.ts'
import { cache } from './cache.ts'
import { charset } from './charset.ts'
import { dav } from './dav.ts'
import { earlyHints } from './early-hints.ts'
import { emptyGif } from './empty-gif.ts'
import { fastcgi } from './fastcgi.ts'
import { geo } from './geo.ts'
import { grpc } from './grpc.ts'
import { gunzip } from './gunzip.ts'
import { gzipStatic } from './gzip-static.ts'
import { gzip } from './gzip.ts'
import { headers } from './headers.ts'
import { http2 } from './http2.ts'
import { healthCheck } from './health-check.ts'
import { indexModule } from './index-module.ts'
import { laterModule } from './later.ts'
import { limitConnections } from './limit-conn.ts'
import { limitRate } from './limit-rate.ts'
import { limitRequests } from './limit-req.ts'
import { log } from './log.ts'
import { map } from './map.ts'
import { memcached } from './memcached.ts'
import { mirror } from './mirror.ts'
import { postAction } from './post-action.ts'
import { proxyProtocol } from './proxy-protocol.ts'
import { proxy } from './proxy/index.ts'
import { randomIndex } from './random-index.ts'
import { realip } from './realip.ts'
import { referer } from './referer.ts'
import { refusedModule } from './refused.ts'
import { resolver } from './resolver.ts'
import { rewrite } from './rewrite/index.ts'
import { satisfy } from './satisfy.ts'
import { scgi } from './scgi.ts'
import { secureLink } from './secure-link.ts'
import { slice } from './slice.ts'
import { ssi } from './ssi/index.ts'
import { splitClients } from './split-clients.ts'
import { ssl } from './ssl.ts'
import { staticFiles } from './static.ts'
import { statsd } from './statsd.ts'
import { stubStatus } from './stub-status.ts'
import { subFilter } from './sub-filter.ts'
import { tryFilesModule } from './try-files.ts'
import { tunnel } from './tunnel.ts'
import { upstream } from './upstream.ts'
import { userid } from './userid.ts'
import { uwsgi } from './uwsgi.ts'
import { zstdStatic } from './zstd-static.ts'
import { zstd } from './zstd.ts'

const core = httpModule({ name: 'core', directives: coreDirectives })

export const httpModules: readonly HttpModule[] = [
  core,
  // Variables, which everything below may use; then the client's true address.
  proxyProtocol,
  acme,
  ssl,
  http2,
  resolver,
  map,
  geo,
  splitClients,
  browser,
  referer,
  // Before everything else, but behind the variables that ask for it.
  bodyEarlyRead,
  realip,
  appTrust,
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
  appStatus,
  upstream,
  earlyHints,
  // Before those whose locations look for a cache by its name.
  cache,
  proxy,
  fastcgi,
  uwsgi,
  scgi,
  grpc,
  memcached,
  // By now it is known what is passed on.
  healthCheck,
  api,
  tunnel,
  rewrite,
  // content: methods that change files before those that show them.
  dav,
  // `index` looks for a directory's page before `static` would answer for the directory.
  randomIndex,
  indexModule,
  autoindex,
  // A file's compressed twin, the smallest first, before the file itself.
  brotliStatic,
  zstdStatic,
  gzipStatic,
  staticFiles,
  // Filters see a head in this order, and its body passes them from the source to the client.
  // Before the others: it makes the head of a part that of the whole.
  slice,
  headers,
  userid,
  gunzip,
  addition,
  subFilter,
  charset,
  ssi,
  addedParts,
  // Which coding is tried first decides among those a client wants as much.
  brotli,
  zstd,
  gzip,
  limitRate,
  // Before those who log: it may put them off.
  postAction,
  log,
  statsd,
  laterModule,
  refusedModule,
]
