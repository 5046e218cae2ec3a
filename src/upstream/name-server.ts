// A DNS server as it is asked: over a datagram socket that is connected to it, so that nobody else is heard on it, and that it is
// known when nobody listens there.

import dgram from 'node:dgram'
import { errorText } from '../lib/errno.ts'

export interface DnsServer {
  readonly host: string
  readonly port: number
}

/** Questions that wait for the socket. */
const WAITING_MAX = 1000

export class NameServer implements DnsServer {
  readonly host: string
  readonly port: number
  private readonly onAnswer: (bytes: Buffer, from: DnsServer) => void
  private readonly onProblem: (problem: string) => void
  private socket: dgram.Socket | null = null
  /** Null: the socket is connected. */
  private waiting: Buffer[] | null = null

  constructor(
    { host, port }: DnsServer,
    onAnswer: (bytes: Buffer, from: DnsServer) => void,
    onProblem: (problem: string) => void,
  ) {
    this.host = host
    this.port = port
    this.onAnswer = onAnswer
    this.onProblem = onProblem
  }

  ask(query: Buffer): void {
    const socket = this.socket ?? this.open()
    if (this.waiting === null) this.send(socket, query)
    else if (this.waiting.length < WAITING_MAX) this.waiting.push(query)
  }

  close(): void {
    const { socket } = this
    this.socket = null
    this.waiting = null
    socket?.close()
  }

  private open(): dgram.Socket {
    const socket = dgram.createSocket(this.host.includes(':') ? 'udp6' : 'udp4')
    this.socket = socket
    this.waiting = []
    socket.on('message', bytes => this.onAnswer(bytes, this))
    socket.on('error', error => this.failed(socket, error))
    socket.on('connect', () => this.connected(socket))
    socket.connect(this.port, this.host)
    socket.unref()
    return socket
  }

  private connected(socket: dgram.Socket): void {
    const { waiting } = this
    if (this.socket !== socket || waiting === null) return
    this.waiting = null
    for (const query of waiting) this.send(socket, query)
  }

  private send(socket: dgram.Socket, query: Buffer): void {
    socket.send(query, error => {
      if (error !== null) this.failed(socket, error)
    })
  }

  /** A server that cannot be reached is one that does not answer; the next question has another socket. */
  private failed(socket: dgram.Socket, error: NodeJS.ErrnoException): void {
    if (this.socket !== socket) return
    const call = { recvmsg: 'recv', connect: 'connect' }[error.syscall ?? ''] ?? 'send'
    this.onProblem(`${call}() failed (${errorText(error)}) while resolving, resolver: ${this.name}`)
    this.close()
  }

  private get name(): string {
    return `${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.port}`
  }
}
