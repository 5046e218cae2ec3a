// The control interface's connections. Commands of a connection are answered one after the other; everything that a client could
// make endless has an end: connections, the length of a message, the time for one, and for taking an answer.

import net from 'node:net'
import { encodeMessage, MessageReader } from '../codec/control.ts'
import { rest } from '../process/rest.ts'
import type { RunningProgram } from './program.ts'

export interface Limits {
  readonly connections: number
  /** Bytes of a message. Gunicorn's servers take 16 MB, which no command needs. */
  readonly message: number
  /** Between two messages. */
  readonly idleMs: number
  /** From a message's first byte to its last. */
  readonly messageMs: number
  /** For a client to take an answer. */
  readonly sendMs: number
}

const LIMITS: Limits = { connections: 32, message: 64 * 1024, idleMs: 300_000, messageMs: 10_000, sendMs: 10_000 }

export class ControlServer {
  private readonly server: net.Server
  private readonly conversations = new Set<Conversation>()
  private rested = false

  /** @param fd a socket that listens: it is closed with this */
  constructor(fd: number, program: RunningProgram, limits: Limits = LIMITS) {
    this.server = net.createServer({ allowHalfOpen: true }, socket => {
      const conversation = new Conversation(socket, program, limits)
      this.conversations.add(conversation)
      socket.once('close', () => this.ended(conversation))
    })
    this.server.maxConnections = limits.connections
    this.server.on('error', () => {})
    this.server.listen({ fd })
  }

  /** What was loaded for the first of them takes memory that the others do not. */
  private ended(conversation: Conversation): void {
    this.conversations.delete(conversation)
    if (this.rested) return
    this.rested = true
    rest()
  }

  /** What is being answered is. */
  close(): void {
    this.server.close()
    for (const conversation of this.conversations) conversation.leave()
  }
}

class Conversation {
  private readonly socket: net.Socket
  private readonly program: RunningProgram
  private readonly limits: Limits
  private readonly reader: MessageReader
  private timer: NodeJS.Timeout | null = null
  private answering = false
  private leaving = false

  constructor(socket: net.Socket, program: RunningProgram, limits: Limits) {
    this.socket = socket
    this.program = program
    this.limits = limits
    this.reader = new MessageReader(limits.message)
    socket.on('error', () => {})
    socket.once('close', () => this.limit(0))
    void this.converse()
  }

  leave(): void {
    this.leaving = true
    if (!this.answering) this.socket.destroy()
  }

  /** Whichever way it ends, the connection is closed. */
  private async converse(): Promise<void> {
    this.limit(this.limits.idleMs)
    try {
      for await (const bytes of this.socket as AsyncIterable<Buffer>) {
        const wasWithin = this.reader.isWithin
        this.reader.push(bytes)
        const answered = await this.answerAll()
        if (answered < 0) return
        // Further bytes do not give a message more time.
        if (!this.reader.isWithin) this.limit(this.limits.idleMs)
        else if (!wasWithin || answered > 0) this.limit(this.limits.messageMs)
      }
    } catch {
      // The client has gone.
    }
  }

  /** @returns how many messages were complete, -1 if no more are to be answered */
  private async answerAll(): Promise<number> {
    let count = 0
    for (let request = this.reader.next(); request !== null; request = this.reader.next()) {
      count++
      this.answering = true
      this.limit(0)
      // Loaded when there is somebody who asks.
      const { answer } = await import('./commands.ts')
      const given = await answer(this.program, request)
      if (given === null) return -1
      await this.send(encodeMessage(given.message))
      this.answering = false
      if (given.order !== null) this.program.tell(given.order)
      if (this.leaving) return -1
    }
    return this.reader.problem === '' ? count : -1
  }

  private async send(bytes: Buffer): Promise<void> {
    this.limit(this.limits.sendMs)
    await new Promise<void>((resolve, reject) => this.socket.write(bytes, error => (error ? reject(error) : resolve())))
  }

  /** @param ms until the connection is closed; 0 for any time */
  private limit(ms: number): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = ms === 0 ? null : setTimeout(() => this.socket.destroy(), ms)
  }
}
