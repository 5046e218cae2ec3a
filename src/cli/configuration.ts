// From text to a compiled configuration: the one way both the master (from files) and every thread (from the text the
// master read) go, so that they cannot come to different results.

import type { Bundle, Source } from '../config/source.ts'
import { ConfigError, ConfigErrors } from '../config/errors.ts'
import { parseConfig } from '../config/parse.ts'
import type { Parsed } from '../config/parse.ts'
import { readConfig } from '../config/read.ts'
import { Registry } from '../config/registry.ts'
import { compileHttp } from '../http/server/compile.ts'
import type { CompiledHttp } from '../http/server/compile.ts'
import { httpModules } from '../http/modules/index.ts'
import type { Notes } from '../http/notes.ts'
import { bindsTransparently } from '../http/upstream/bind.ts'
import { compileMail, declarations as mailDeclarations } from '../mail/compile.ts'
import type { CompiledMail } from '../mail/compile.ts'
import { compileStream } from '../stream/compile.ts'
import type { CompiledStream } from '../stream/compile.ts'
import { streamDirectives } from '../stream/core.ts'
import { proxyDirectives as streamProxyDirectives } from '../stream/proxy/conf.ts'
import { forgetHosts } from '../upstream/resolve.ts'
import { eventsDirectives, mainDirectives, mainSettings } from './main-directives.ts'
import type { MainSettings } from './main-directives.ts'
import type { Invocation } from './invocation.ts'

export const registry = new Registry([
  mainDirectives,
  eventsDirectives,
  ...httpModules.map(module => module.directives),
  streamDirectives,
  streamProxyDirectives,
  ...mailDeclarations,
])

/** All a thread needs to compile the configuration again. JSON-able. */
export interface ThreadData {
  readonly invocation: Invocation
  readonly asRoot: boolean
  readonly bundle: Bundle
}

export interface Configuration {
  readonly main: MainSettings
  readonly http: CompiledHttp
  readonly stream: CompiledStream
  readonly mail: CompiledMail
  /** Does it take addresses that are not this machine's? */
  readonly rawSockets: boolean
}

export type Warn = (warning: ConfigError) => void

/** Throws ConfigError or ConfigErrors. */
export function compile(
  source: Source,
  parsed: Parsed,
  invocation: Invocation,
  asRoot: boolean,
  warn: Warn,
  notes: Notes | null = null,
): Configuration {
  forgetHosts()
  const { prefix, errorLog } = invocation
  const scope = readConfig(parsed, registry, { prefix, warn })
  const main = mainSettings(scope, prefix, errorLog, warn)
  const readData = (path: string) => source.readData(path)
  const options = { prefix, asRoot, warn, readData, notes }
  const http = compileHttp(scope, httpModules, options)
  const stream = compileStream(scope, httpModules, options)
  const mail = compileMail(scope, httpModules, options)
  stream.blocks.push(http, mail)
  const addresses = [http, stream, mail].flatMap(block => block.listens.map(({ key }) => key))
  const twice = addresses.find((key, i) => addresses.indexOf(key) !== i)
  if (twice !== undefined) throw new ConfigError(`bind() to ${twice} failed (98: Address already in use)`)
  return { main, http, stream, mail, rawSockets: bindsTransparently(parsed.statements) }
}

export function parse(source: Source, { file, directives }: Invocation): Parsed {
  return parseConfig(source, file, directives)
}

/** The single errors of whatever was thrown; none if it is not the configuration that is wrong. */
export function configErrors(error: unknown): readonly ConfigError[] {
  if (error instanceof ConfigErrors) return error.errors
  if (error instanceof ConfigError) return [error]
  return []
}
