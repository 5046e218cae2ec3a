// Accepts connections on a descriptor that somebody else has bound (the master, before it gave up its privileges).
// It takes the handle as node:net's server accepts it, without the socket object node:net would make: Connection makes
// its own, with our way of reading.

import net from 'node:net'

type ServerHandle = { onconnection: (status: number, handle: unknown) => void }

export interface Listener {
  /** Stops accepting; connections already accepted are not touched. The descriptor is closed. */
  close(): void
}

/** Something to listen on: an inherited descriptor, or the path of a Unix socket. */
export type ListenTarget = { readonly fd: number } | { readonly path: string }

/**
 * Listens and calls `onAccept` with each accepted handle (see `accepted`).
 * @param backlog length of the kernel's accept queue
 * @param onReady called once when connections are being accepted, or with the error that prevents it
 */
export function listen(
  target: ListenTarget,
  backlog: number,
  onAccept: (handle: unknown) => void,
  onReady: (error: Error | null) => void,
): Listener {
  const server = net.createServer()
  server.once('error', onReady)
  server.listen({ ...target, backlog }, () => onReady(null))
  const handle = (server as unknown as { _handle: ServerHandle | null })._handle
  if (handle !== null) {
    handle.onconnection = (status, client) => {
      // A failed accept (descriptors exhausted, a client already gone) leaves the listener as it was.
      if (status === 0 && client !== undefined) onAccept(client)
    }
  }
  return { close: () => void server.close() }
}
