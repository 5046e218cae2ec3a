// An upstream server that says exactly what a test tells it to, byte by byte if need be, and remembers what it was asked.

import { chmodSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { MessageReader } from './message.ts'
import type { Request } from './message.ts'
import { freePort, reset } from './ports.ts'
import { atEnd } from './scope.ts'
import type { Scope } from './scope.ts'
import { tempDir } from './temp-dir.ts'

export interface OriginRequest extends Request {
  /** Which connection it came on, and which request on that connection it is; both from 0. */
  readonly connection: number
  readonly turn: number
}

/** Answers with the bytes it returns, or writes to the socket itself and returns nothing. */
export type OriginHandler = (
  request: OriginRequest,
  socket: net.Socket,
) => string | Buffer | void | Promise<string | Buffer | void>

export interface OriginOptions {
  /** Listens on a Unix socket instead of a port. */
  readonly unix?: boolean
  /** Closes each connection after this many answers. */
  readonly requestsPerConnection?: number
  /** Listens on this port rather than a new one: to come back after close(). Nobody else is given it meanwhile. */
  readonly port?: number
}

export interface Origin {
  /** 0 for a Unix socket. */
  readonly port: number
  /** The Unix socket's path, or `127.0.0.1:PORT`: as `server` in an upstream wants it after `unix:` or alone. */
  readonly path: string
  /** Whole requests, in the order in which they were complete. */
  readonly requests: OriginRequest[]
  /** Connections accepted so far, and those still open. */
  readonly accepted: number
  readonly open: ReadonlySet<net.Socket>
  /** Stops listening and resets every connection. */
  close(): Promise<void>
}

/** `script`: the first request gets the first answer, the second the second…, later ones the last. */
export async function origin(
  t: Scope,
  script: OriginHandler | string | readonly string[] = reply(),
  options: OriginOptions = {},
): Promise<Origin> {
  const handler = typeof script === 'function' ? script : scripted(typeof script === 'string' ? [script] : script)
  const requests: OriginRequest[] = []
  const open = new Set<net.Socket>()
  let accepted = 0
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    // Resets by the program under test are its right; the test sees their effect.
    socket.on('error', () => {})
    converse(socket, accepted++, requests, handler, options.requestsPerConnection ?? Infinity)
  })
  const path = options.unix === true ? join(tempDir(t), 'origin.sock') : null
  const port = path === null ? (options.port ?? (await freePort())) : 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    if (path !== null) server.listen(path, resolve)
    else server.listen(port, '127.0.0.1', resolve)
  })
  if (path !== null) chmodSync(path, 0o666)
  const close = (): Promise<void> => {
    for (const socket of open) reset(socket)
    return new Promise(resolve => server.close(() => resolve()))
  }
  atEnd(t, close)
  return {
    port,
    path: path ?? `127.0.0.1:${port}`,
    requests,
    open,
    close,
    get accepted() {
      return accepted
    },
  }
}

/** A response with its length, as bytes in latin1. */
export function reply(body = 'hello', headers: Readonly<Record<string, string>> = {}, status = '200 OK'): string {
  const lines = Object.entries({ 'Content-Length': String(body.length), ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  )
  return `HTTP/1.1 ${status}\r\n${lines.join('\r\n')}\r\n\r\n${body}`
}

/** Reads requests one after another; each is answered before the next is looked at. */
function converse(
  socket: net.Socket,
  connection: number,
  requests: OriginRequest[],
  handler: OriginHandler,
  max: number,
): void {
  let reader = new MessageReader('request')
  let waiting: Buffer = Buffer.alloc(0)
  let turn = 0
  let busy = false
  const next = (): void => {
    if (busy || socket.destroyed) return
    waiting = Buffer.from(reader.feed(waiting))
    if (!reader.done) return
    const request = { ...reader.request(), connection, turn: turn++ }
    reader = new MessageReader('request')
    requests.push(request)
    busy = true
    void Promise.resolve(handler(request, socket)).then(answer => {
      if (answer !== undefined && !socket.destroyed)
        socket.write(typeof answer === 'string' ? Buffer.from(answer, 'latin1') : answer)
      busy = false
      if (turn >= max) socket.destroySoon()
      else next()
    })
  }
  socket.on('data', (bytes: Buffer) => {
    waiting = Buffer.concat([waiting, bytes])
    next()
  })
  socket.on('end', () => socket.end())
}

function scripted(answers: readonly string[]): OriginHandler {
  let turn = 0
  return () => answers[Math.min(turn++, answers.length - 1)]
}
