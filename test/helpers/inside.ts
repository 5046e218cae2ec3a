// The http blocks of a whole configuration, served inside the test's own process as a front thread serves them (src/cli/thread.ts):
// for tests that start many servers and need neither a master nor reloads, threads or applications. `serve()` starts the
// real program, which takes half a second of the processor; this takes some milliseconds.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { compile, parse } from '../../src/cli/configuration.ts'
import { invocationOf } from '../../src/cli/invocation.ts'
import { FileSource } from '../../src/config/source.ts'
import { ErrorLog, LogFiles } from '../../src/log/error-log.ts'
import { provideFolder } from '../../src/process/privileges.ts'
import { limitConnections } from '../../src/upstream/connection-limit.ts'
import { atEnd } from './scope.ts'
import type { Scope } from './scope.ts'
import { complete, countMarks, fill } from './serve.ts'
import { tempDir } from './temp-dir.ts'

/** As much of serve()'s Server as there is. */
export interface InsideServer {
  readonly dir: string
  readonly port: number
  readonly ports: readonly number[]
  errorLog(): string
  accessLog(): string
}

/** @param what as serve() takes it: the whole configuration, with `listen %%PORT_0%%` and so on, or that and its folder */
export async function serveInside(
  t: Scope,
  what: string | { readonly conf: string; readonly dir: string },
): Promise<InsideServer> {
  const { conf, dir } = typeof what === 'string' ? { conf: what, dir: tempDir(t) } : what
  mkdirSync(join(dir, 'logs'), { recursive: true })
  const sockets = Array.from({ length: countMarks(conf) }, () => new net.BoundSocket({ host: '127.0.0.1', port: 0 }))
  const ports = sockets.map(socket => socket.address().port)
  const file = join(dir, 'portico.conf')
  writeFileSync(file, fill(complete(conf), dir, ports))
  const invocation = invocationOf({ prefix: dir, file, directives: '', errorLog: 'error.log' })
  const source = new FileSource()
  const { main, http } = compile(source, parse(source, invocation), invocation, process.geteuid?.() === 0, () => {})
  const descriptors = http.listens.map(({ key, port }) => [key, sockets[ports.indexOf(port)]!.fd()] as const)
  const shared = new Map(http.shared.map(({ key, bytes }) => [key, new SharedArrayBuffer(bytes)]))
  const logFiles = new LogFiles()
  const errorLog = new ErrorLog(main.errorLog, logFiles, 1)
  const services = {
    thread: 0,
    threads: 1,
    errorLog,
    logFiles,
    listening: descriptors.map(([, fd]) => fd),
    shared: (key: string) => shared.get(key)!,
    toMaster() {},
    onMessage() {},
  }
  for (const folder of http.folders) provideFolder(folder, null)
  await http.start(
    services,
    new Map(descriptors),
    limitConnections(main.connections, () => {}),
  )
  atEnd(t, () => {
    http.stop()
    logFiles.close()
  })
  const read = (name: string): string => {
    logFiles.flush()
    const path = join(dir, name)
    return existsSync(path) ? readFileSync(path, 'latin1') : ''
  }
  return {
    dir,
    port: ports[0]!,
    ports,
    errorLog: () => read('error.log'),
    accessLog: () => read('access.log'),
  }
}
