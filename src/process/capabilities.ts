// What the front keeps of root's rights when it becomes another user (capabilities(7)): with CAP_NET_RAW a socket may have an
// address that is not this machine's, which `transparent` of proxy_bind asks for.

import { dlopen } from 'node:ffi'
import { lastReason } from './libc.ts'

const PR_SET_KEEPCAPS = 8
const CAP_NET_RAW = 13
/** _LINUX_CAPABILITY_VERSION_3: effective, permitted and inheritable bits, the lower 32 and the upper ones. */
const VERSION = 0x20080522
const DATA_SIZE = 24

interface Calls {
  prctl(option: number, argument: bigint): number
  capset(header: Buffer, data: Buffer): number
}

let calls: Calls | null = null

function load(): Calls {
  const { functions } = dlopen(null, {
    prctl: { arguments: ['i32', 'u64'], return: 'i32' },
    capset: { arguments: ['buffer', 'buffer'], return: 'i32' },
  }) as unknown as { functions: Calls }
  return functions
}

/** The calling thread does not lose what it may when it becomes another user. */
export function keepRights(): void {
  calls ??= load()
  if (calls.prctl(PR_SET_KEEPCAPS, 1n) !== 0) throw new Error(`prctl(PR_SET_KEEPCAPS, 1) failed (${lastReason()})`)
}

/** Of what it has kept this alone is left to it, and to the threads it will start. */
export function leaveRawSockets(): void {
  calls ??= load()
  const [header, data] = [Buffer.alloc(8), Buffer.alloc(DATA_SIZE)]
  header.writeUInt32LE(VERSION, 0)
  data.writeUInt32LE(1 << CAP_NET_RAW, 0)
  data.writeUInt32LE(1 << CAP_NET_RAW, 4)
  if (calls.capset(header, data) !== 0) throw new Error(`capset() failed (${lastReason()})`)
}
