// `return TEXT` of a stream server: the client gets the text, and the connection ends (ngx_stream_return_module).

import type { ConnectionHandler } from '../net/connection.ts'
import type { Value } from '../http/module.ts'
import { asRequest, type Content } from './module.ts'
import type { StreamSession } from './session.ts'

/** How long a client may take, in ms. */
const SEND_TIMEOUT = 60_000

export function returnContent(text: Value): Content {
  return {
    begin(session) {
      session.action = 'returning text'
      session.take(new Rest(session))
      session.watch(SEND_TIMEOUT)
      if (session.connection.writeText(text.get(asRequest(session)))) session.finalize(200)
    },
    beginUdp(session) {
      const answer = text.get(asRequest(session))
      const said = answer === '' || session.reply(Buffer.from(answer, 'latin1'), 'returning text')
      session.finalize(said ? 200 : 500)
    },
  }
}

/** What the client says is of no interest; once it has everything it is done. */
class Rest implements ConnectionHandler {
  private readonly session: StreamSession
  constructor(session: StreamSession) {
    this.session = session
  }
  onData(): void {}
  onDrain(): void {
    this.session.finalize(200)
  }
  onEnd(): void {}
  onClose(): void {}
}
