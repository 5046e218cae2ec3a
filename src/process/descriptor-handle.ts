// A raw descriptor in the shape that `child.send` takes along. Node sends its own handle objects only; a socket made from
// the descriptor has one, and is never read from.

import net from 'node:net'
import { handleForUdp } from '../net/udp-socket.ts'
import { dup } from './libc.ts'

/** Node's internal socket handle. */
export interface Handle {
  readonly fd: number
  close(): void
}

/** For sending a copy of `fd`; close it when it is sent. */
export function handleOf(fd: number, udp: boolean): Handle {
  if (udp) return handleForUdp(dup(fd))
  const socket = new net.Socket({ fd: dup(fd), readable: false, writable: false })
  return (socket as unknown as { _handle: Handle })._handle
}

/** The descriptor that came with a message, now ours. */
export function takeDescriptor(handle: Handle): number {
  try {
    return dup(handle.fd)
  } finally {
    handle.close()
  }
}
