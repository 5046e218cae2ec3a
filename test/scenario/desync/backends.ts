// Back ends that take what they are sent literally: each request is kept with its body, and whatever is no request, or stands
// behind one that nobody asked for, is a fault. Every answer names the request it answers.

import net from 'node:net'
import { MessageReader } from '../../helpers/message.ts'
import { atEnd } from '../../helpers/scope.ts'
import type { Scope } from '../../helpers/scope.ts'

export interface SeenRequest {
  readonly method: string
  readonly target: string
  readonly body: string
  /** As lines, for protocols that have such. */
  readonly head: string
}

export interface Backend {
  readonly port: number
  /** Whole requests since the last take(). */
  take(): SeenRequest[]
  /** What no client of a back end may do. */
  readonly faults: string[]
}

type Converse = (backend: Seen, socket: net.Socket) => (chunk: Buffer) => void

class Seen implements Backend {
  port = 0
  requests: SeenRequest[] = []
  readonly faults: string[] = []
  take(): SeenRequest[] {
    const { requests } = this
    this.requests = []
    return requests
  }
}

async function backend(t: Scope, converse: Converse): Promise<Backend> {
  const seen = new Seen()
  const sockets = new Set<net.Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    const take = converse(seen, socket)
    socket.on('data', (chunk: Buffer) => {
      try {
        take(chunk)
      } catch (error) {
        seen.faults.push(`${(error as Error).message}: ${JSON.stringify(chunk.toString('latin1'))}`)
        socket.destroy()
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  seen.port = (server.address() as net.AddressInfo).port
  return seen
}

export function echoOf(method: string, target: string, body: string): string {
  return `<${method} ${target} ${body.length}>`
}

function cgiAnswer(one: SeenRequest): string {
  const text = echoOf(one.method, one.target, one.body)
  return `Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n\r\n${one.method === 'HEAD' ? '' : text}`
}

export function http(t: Scope): Promise<Backend> {
  return backend(t, (seen, socket) => {
    let reader = new MessageReader('request')
    return chunk => {
      for (let rest = chunk; rest.length > 0;) {
        rest = Buffer.from(reader.feed(rest))
        if (!reader.done) return
        const { method, target, body, head, headers, trailers } = reader.request()
        if (headers.filter(([name]) => name.toLowerCase() === 'host').length !== 1) throw new Error('not one Host')
        const framing = /^(?:host|content-length|transfer-encoding|connection|content.length|transfer.encoding)$/i
        if (trailers.some(([name]) => framing.test(name))) throw new Error('a trailer that frames')
        reader = new MessageReader('request')
        if (rest.length > 0) throw new Error('a request before its predecessor was answered')
        seen.requests.push({ method, target, body: body.toString('latin1'), head })
        const text = echoOf(method, target, body.toString('latin1'))
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${method === 'HEAD' ? '' : text}`,
          'latin1',
        )
      }
    }
  })
}

/** Both have a head of names and values, then as many bytes as that says, and one request for a connection. */
function packets(
  t: Scope,
  read: (bytes: Buffer) => { stop: number; variables: Map<string, string> } | null,
): Promise<Backend> {
  return backend(t, (seen, socket) => {
    let bytes: Buffer = Buffer.alloc(0)
    let answered = false
    return chunk => {
      bytes = Buffer.concat([bytes, chunk])
      const packet = read(bytes)
      if (packet === null) return
      const { stop, variables } = packet
      const length = Number(variables.get('CONTENT_LENGTH') || 0)
      if (!Number.isSafeInteger(length)) throw new Error(`length ${length}`)
      if (bytes.length < stop + length) return
      if (bytes.length > stop + length || answered) throw new Error('bytes behind the request')
      answered = true
      const one = {
        method: variables.get('REQUEST_METHOD')!,
        target: variables.get('REQUEST_URI')!,
        body: bytes.toString('latin1', stop),
        head: [...variables].map(([name, value]) => `${name}: ${value}\n`).join(''),
      }
      seen.requests.push(one)
      socket.end(cgiAnswer(one), 'latin1')
    }
  })
}

export function uwsgi(t: Scope): Promise<Backend> {
  return packets(t, bytes => {
    if (bytes.length < 4) return null
    const stop = 4 + bytes.readUInt16LE(1)
    if (bytes[0] !== 0 || bytes[3] !== 0) throw new Error('modifiers')
    if (bytes.length < stop) return null
    const variables = new Map<string, string>()
    const textAt = (at: number): string => {
      const end = at + 2 + bytes.readUInt16LE(at)
      if (end > stop) throw new Error('a variable ends behind its packet')
      return bytes.toString('latin1', at + 2, end)
    }
    for (let at = 4; at < stop;) {
      const name = textAt(at)
      const value = textAt(at + 2 + name.length)
      if (variables.has(name)) throw new Error(`${name} twice`)
      variables.set(name, value)
      at += 4 + name.length + value.length
    }
    return { stop, variables }
  })
}

export function scgi(t: Scope): Promise<Backend> {
  return packets(t, bytes => {
    const size = /^(\d+):/.exec(bytes.toString('latin1', 0, 12))
    if (size === null) {
      if (bytes.length > 12) throw new Error('no netstring')
      return null
    }
    const stop = size[0].length + Number(size[1]) + 1
    if (bytes.length < stop) return null
    if (bytes[stop - 1] !== 44) throw new Error('the netstring does not end where it says')
    const parts = bytes.toString('latin1', size[0].length, stop - 1).split('\0')
    if (parts.pop() !== '' || parts.length % 2 !== 0) throw new Error('names without values')
    const variables = new Map<string, string>()
    for (let i = 0; i < parts.length; i += 2) {
      if (variables.has(parts[i]!)) throw new Error(`${parts[i]} twice`)
      variables.set(parts[i]!, parts[i + 1]!)
    }
    return { stop, variables }
  })
}

export function fastcgi(t: Scope): Promise<Backend> {
  return backend(t, (seen, socket) => {
    let bytes: Buffer = Buffer.alloc(0)
    let params = ''
    let body = ''
    let state = 0
    const record = (type: number, text: string): Buffer => {
      const head = Buffer.from([1, type, 0, 1, 0, 0, 0, 0])
      head.writeUInt16BE(text.length, 4)
      return Buffer.concat([head, Buffer.from(text, 'latin1')])
    }
    return chunk => {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 8) {
        const length = bytes.readUInt16BE(4)
        const stop = 8 + length + bytes[6]!
        if (bytes.length < stop) return
        if (bytes[0] !== 1) throw new Error('version')
        const type = bytes[1]!
        const text = bytes.toString('latin1', 8, 8 + length)
        bytes = bytes.subarray(stop)
        // BEGIN_REQUEST, PARAMS until an empty one, STDIN until an empty one.
        if (type !== [1, 4, 5][state]) throw new Error(`record ${type} in state ${state}`)
        if (state === 0) state = 1
        else if (state === 1) {
          params += text
          if (length === 0) state = 2
        } else {
          body += text
          if (length !== 0) continue
          const variables = pairsOf(params)
          if (body.length !== Number(variables.get('CONTENT_LENGTH') || body.length))
            throw new Error('the length told is another')
          const one = {
            method: variables.get('REQUEST_METHOD')!,
            target: variables.get('REQUEST_URI')!,
            body,
            head: [...variables].map(([name, value]) => `${name}: ${value}\n`).join(''),
          }
          seen.requests.push(one)
          if (bytes.length > 0) throw new Error('bytes behind the request')
          params = body = ''
          state = 0
          socket.write(Buffer.concat([record(6, cgiAnswer(one)), record(6, ''), record(3, '\0\0\0\0\0\0\0\0')]))
        }
      }
    }
  })
}

function pairsOf(text: string): Map<string, string> {
  const variables = new Map<string, string>()
  const bytes = Buffer.from(text, 'latin1')
  let at = 0
  const length = (): number => {
    const first = bytes.readUInt8(at)
    at += first < 128 ? 1 : 4
    return first < 128 ? first : bytes.readUInt32BE(at - 4) & 0x7fffffff
  }
  while (at < bytes.length) {
    const [name, value] = [length(), length()]
    if (at + name + value > bytes.length) throw new Error('a pair ends behind the parameters')
    const key = bytes.toString('latin1', at, at + name)
    if (variables.has(key)) throw new Error(`${key} twice`)
    variables.set(key, bytes.toString('latin1', at + name, at + name + value))
    at += name + value
  }
  return variables
}
