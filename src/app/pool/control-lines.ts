// The master's end of a control conversation (docs/bridge.md): one JSON object a line, in both directions.

import type { Socket } from 'node:net'

/** A line longer than this is no answer of ours; a traceback is far from it. */
const LINE_MAX = 4 * 1024 * 1024

export class ControlLines {
  private readonly socket: Socket
  private readonly onEvent: (event: any) => void
  private readonly onNonsense: (what: string) => void
  private received = ''

  constructor(socket: Socket, onEvent: (event: any) => void, onNonsense: (what: string) => void) {
    this.socket = socket
    this.onEvent = onEvent
    this.onNonsense = onNonsense
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.onText(text))
    socket.on('error', () => {})
  }

  send(command: object): void {
    if (this.socket.writable) this.socket.write(`${JSON.stringify(command)}\n`)
  }

  private onText(text: string): void {
    this.received += text
    for (let end = this.received.indexOf('\n'); end >= 0; end = this.received.indexOf('\n')) {
      const line = this.received.slice(0, end)
      this.received = this.received.slice(end + 1)
      this.onLine(line)
    }
    if (this.received.length > LINE_MAX) this.onNonsense('a line without end')
  }

  private onLine(line: string): void {
    let event: unknown
    try {
      event = JSON.parse(line)
    } catch {
      this.onNonsense(`what is not JSON: "${line.slice(0, 200)}"`)
      return
    }
    this.onEvent(event)
  }
}
