// The few system calls Node has no way to make. A descriptor made here is closed on exec, so that it does not leak into
// workers and their children by accident.

import { dlopen, getInt32 } from 'node:ffi'
import { getSystemErrorName } from 'node:util'
import { reason } from './system-error.ts'

const { functions: libc } = dlopen(null, {
  fcntl: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  dup2: { arguments: ['i32', 'i32'], return: 'i32' },
  listen: { arguments: ['i32', 'i32'], return: 'i32' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'], return: 'i32' },
  __errno_location: { arguments: [], return: 'pointer' },
  madvise: { arguments: ['u64', 'u64', 'i32'], return: 'i32' },
}) as unknown as {
  functions: {
    fcntl(fd: number, command: number, argument: number): number
    dup2(from: number, to: number): number
    listen(fd: number, backlog: number): number
    setsockopt(fd: number, level: number, name: number, value: Buffer, length: number): number
    __errno_location(): bigint
    madvise(address: bigint, length: bigint, advice: number): number
  }
}

const F_DUPFD_CLOEXEC = 1030
const STANDARD_STREAMS = 3
const MADV_DONTNEED = 4

/** Another descriptor for the same open file. */
export function dup(fd: number): number {
  const copy = libc.fcntl(fd, F_DUPFD_CLOEXEC, STANDARD_STREAMS)
  if (copy < 0) throw new Error(`dup() of descriptor ${fd} failed (${lastReason()})`)
  return copy
}

/** Why the call before this one has failed, in the C library's words. */
export function lastReason(): string {
  const errno = -getInt32(libc.__errno_location())
  return reason({ errno, code: getSystemErrorName(errno) })
}

/** Makes `to` the same open file as `from`; what `to` was before is closed. */
export function redirect(from: number, to: number): void {
  if (libc.dup2(from, to) < 0) throw new Error(`dup2(${from}, ${to}) failed`)
}

/** The kernel queues connections from now on; whoever accepts may come later. False: the address is in use. */
export function listenQueue(fd: number, backlog: number): boolean {
  return libc.listen(fd, backlog) === 0
}

/** False: the kernel does not have it so. */
export function setSocketOption(fd: number, level: number, name: number, value: number): boolean {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return libc.setsockopt(fd, level, name, bytes, bytes.length) === 0
}

/** Unmaps the pages of this process between two addresses. Those of a file lose nothing by it unless they have been written. */
export function dropPages(from: bigint, to: bigint): void {
  libc.madvise(from, to - from, MADV_DONTNEED)
}
