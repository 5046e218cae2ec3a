// An http block served inside the test's own process: for tests of sessions, phases and modules that need neither
// processes nor reloads. `serve()` starts the real program.

import net from 'node:net'
import { join } from 'node:path'
import type { ConfigError } from '../../src/config/errors.ts'
import { MAIN, EVENTS } from '../../src/config/directive.ts'
import { parseConfig } from '../../src/config/parse.ts'
import { readConfig } from '../../src/config/read.ts'
import { Registry } from '../../src/config/registry.ts'
import { FileSource } from '../../src/config/source.ts'
import { section } from '../../src/config/values.ts'
import { compileHttp, type CompiledHttp } from '../../src/http/server/compile.ts'
import type { HttpModule } from '../../src/http/module.ts'
import { httpModules } from '../../src/http/modules/index.ts'
import { limitConnections } from '../../src/upstream/connection-limit.ts'
import { DEBUG, ErrorLog, LogFiles } from '../../src/log/error-log.ts'
import { readFileSync } from 'node:fs'
import { atEnd, type Scope } from './scope.ts'
import { tempDir, writeFiles } from './temp-dir.ts'

export interface HttpServer {
  readonly port: number
  readonly dir: string
  readonly http: CompiledHttp
  errorLog(): string
}

export interface HttpOptions {
  /** Files below the prefix, by relative path. */
  readonly files?: Readonly<Record<string, string | Buffer>>
  /** Modules beside the program's own. */
  readonly modules?: readonly HttpModule[]
  readonly connectionsMax?: number
  /** Takes what is odd in the configuration, but usable. */
  readonly warn?: (warning: ConfigError) => void
}

/** Serves `server { listen 127.0.0.1:<free>; BODY }`, with `http` in front of the server block. `%PORT%` in the body
 *  stands for that address. */
export async function serveHttp(t: Scope, body: string, http = '', options: HttpOptions = {}): Promise<HttpServer> {
  const dir = tempDir(t)
  writeFiles(dir, options.files ?? {})
  const bound = new net.BoundSocket({ host: '127.0.0.1', port: 0 })
  const { port } = bound.address()
  const text = `events { }\nhttp {\n${http}\nserver { listen 127.0.0.1:${port};\n${body.replaceAll('%PORT%', `127.0.0.1:${port}`)}\n} }\n`
  writeFiles(dir, { 'nginx.conf': text, 'error.log': '', 'logs/x': '', 'client_body_temp/x': '' })
  const modules = [...httpModules, ...(options.modules ?? [])]
  const registry = new Registry([{ events: section(MAIN, EVENTS) }, ...modules.map(module => module.directives)])
  const main = readConfig(parseConfig(new FileSource(), join(dir, 'nginx.conf')), registry, { prefix: `${dir}/` })
  const warn = options.warn ?? (() => {})
  const compiled = compileHttp(main, modules, { prefix: `${dir}/`, asRoot: false, warn })
  const logFiles = new LogFiles()
  const errorLog = new ErrorLog([{ path: join(dir, 'error.log'), level: DEBUG }], logFiles)
  const shared = new Map<string, SharedArrayBuffer>()
  for (const { key, bytes } of compiled.shared) shared.set(key, new SharedArrayBuffer(bytes))
  const services = {
    thread: 0,
    threads: 1,
    errorLog,
    logFiles,
    listening: [bound.fd()],
    shared: (key: string) => shared.get(key)!,
    toMaster() {},
    onMessage() {},
  }
  const descriptors = new Map(compiled.listens.map(({ key }) => [key, bound.fd()]))
  await compiled.start(
    services,
    descriptors,
    limitConnections(options.connectionsMax ?? 1000, () => {}),
  )
  atEnd(t, () => {
    compiled.stop()
    logFiles.close()
  })
  return {
    port,
    dir,
    http: compiled,
    errorLog() {
      logFiles.flush()
      return readFileSync(join(dir, 'error.log'), 'latin1')
    },
  }
}
