// A server that takes no more connections is closed when the last of those it has is gone. Clients elsewhere leave a connection
// that nobody uses; the front keeps its own, and sends the next request on it. So each answer from then on is its connection's
// last, be it the application that closes its server or we.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/** `begun`: what is being answered. */
export function answerLast(server: Server, begun: Iterable<ServerResponse>): void {
  for (const response of begun) makeLast(server, response)
  const later = (_request: IncomingMessage, response: ServerResponse): void => makeLast(server, response)
  server.prependListener('request', later)
  // It may listen anew.
  server.once('listening', () => server.off('request', later))
}

/** The front is told in the head; behind one that has been sent, the connection ends without a word. */
function makeLast(server: Server, response: ServerResponse): void {
  if (!response.headersSent) response.shouldKeepAlive = false
  response.once('close', () => server.closeIdleConnections())
}
