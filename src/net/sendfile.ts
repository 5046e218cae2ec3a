// From a file to a socket within the kernel (sendfile(2)), which Node has no call for. What it saves over reading and writing
// is measured in docs/decisions/0012-sendfile.md.

import { dlopen } from 'node:ffi'

type Sendfile = (socket: number, file: number, offset: Buffer, count: bigint) => bigint

let sendfile: Sendfile | null = null
const offset = Buffer.alloc(8)

/** Bytes the socket has taken: 0 at the file's end, -1 when it takes none now, or it cannot be done this way. */
export function sendFilePart(socket: number, file: number, position: number, length: number): number {
  sendfile ??= load()
  offset.writeUInt32LE(position % 0x1_0000_0000, 0)
  offset.writeUInt32LE(Math.floor(position / 0x1_0000_0000), 4)
  return Number(sendfile(socket, file, offset, BigInt(length)))
}

function load(): Sendfile {
  const { functions } = dlopen(null, {
    sendfile: { arguments: ['i32', 'i32', 'buffer', 'u64'], return: 'i64' },
  }) as unknown as { functions: { sendfile: Sendfile } }
  return functions.sendfile
}
