// Every http module, in the order in which their steps run within a phase and their filters see a head.

import { httpModule, type HttpModule } from '../module.ts'
import { coreDirectives } from '../core.ts'
import { app } from './app.ts'
import { appPass } from './app-pass.ts'
import { headers } from './headers.ts'
import { indexModule } from './index-module.ts'
import { log } from './log.ts'
import { proxy } from './proxy/index.ts'
import { rewrite } from './rewrite.ts'
import { staticFiles } from './static.ts'
import { upstream } from './upstream.ts'

const core = httpModule({ name: 'core', directives: coreDirectives })

export const httpModules: readonly HttpModule[] = [
  core,
  app,
  appPass,
  upstream,
  proxy,
  rewrite,
  // content: `index` looks for a directory's page before `static` would answer for the directory.
  indexModule,
  staticFiles,
  headers,
  log,
]
