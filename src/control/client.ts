// The other end of the control interface: gives a command to a running server, ours or Gunicorn's, and waits for its answer.

import { statSync } from 'node:fs'
import net from 'node:net'
import { encodeMessage, MESSAGE_MAX, MessageReader } from '../codec/control.ts'
import type { ControlRequest, Message } from '../codec/control.ts'

const ANSWER_MS = 30_000

/** What went wrong, in words for whoever gave the command. */
export class ControlError extends Error {}

export class ControlClient {
  private readonly path: string
  private socket: net.Socket | null = null
  private reader = new MessageReader(MESSAGE_MAX)
  private count = 0
  /** Who waits for an answer. */
  private settle: ((outcome: Message | ControlError) => void) | null = null

  constructor(path: string) {
    this.path = path
  }

  /** Throws a ControlError. */
  async connect(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const socket = net.connect({ path: this.path })
    const timer = setTimeout(() => this.close(), ANSWER_MS)
    this.socket = socket
    this.reader = new MessageReader(MESSAGE_MAX)
    socket.once('connect', resolve)
    socket.on('error', error => reject(new ControlError(this.explain(error))))
    socket.on('data', (bytes: Buffer) => this.receive(bytes))
    socket.once('close', () => {
      reject(new ControlError(`the server at "${this.path}" does not answer`))
      this.give(new ControlError('the server has closed the connection'))
      if (this.socket === socket) this.socket = null
    })
    await promise.finally(() => clearTimeout(timer))
  }

  close(): void {
    this.socket?.destroy()
  }

  /** What the server has to say to a command. Throws a ControlError. */
  async ask(words: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    if (this.socket === null) await this.connect()
    const [command = '', ...args] = words
    const request: ControlRequest = { id: ++this.count, command, args }
    const timer = setTimeout(() => {
      this.give(new ControlError(`no answer within ${ANSWER_MS / 1000} seconds`))
      this.close()
    }, ANSWER_MS)
    const outcome = await new Promise<Message | ControlError>(resolve => {
      this.settle = resolve
      this.socket?.write(encodeMessage(request))
    })
    clearTimeout(timer)
    if (outcome instanceof ControlError) throw outcome
    if (outcome['status'] === 'error') throw new ControlError(String(outcome['error']))
    const { data } = outcome
    return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {}
  }

  private receive(bytes: Buffer): void {
    this.reader.push(bytes)
    for (let answer = this.reader.next(); answer !== null; answer = this.reader.next()) this.give(answer)
    if (this.reader.problem === '') return
    this.give(new ControlError(`what answers is no control socket: ${this.reader.problem}`))
    this.close()
  }

  private give(outcome: Message | ControlError): void {
    this.settle?.(outcome)
    this.settle = null
  }

  private explain(error: Error): string {
    const { code, message } = error as NodeJS.ErrnoException
    const { path } = this
    switch (code) {
      case 'ENOENT':
        return `no server takes commands at "${path}": there is no such socket`
      case 'ECONNREFUSED':
        if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return `"${path}" is no socket`
        return `no server takes commands at "${path}" any more`
      case 'EACCES':
      case 'EPERM':
        return `you have no right to give commands at "${path}"`
      case 'ENOTSOCK':
        return `"${path}" is no socket`
      default:
        return `"${path}" cannot be connected to: ${message}`
    }
  }
}
