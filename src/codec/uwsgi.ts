// uwsgi packets: four bytes of head, then names and values with their lengths, all 16 bits and little-endian.

/** Bytes of all variables together. */
export const PACKET_MAX = 65535

function short(value: number): string {
  return String.fromCharCode(value & 255, (value >> 8) & 255)
}

export function encodeVariable(name: string, value: string): string {
  return short(name.length) + name + short(value.length) + value
}

export function packetHead(modifier1: number, size: number, modifier2: number): string {
  return String.fromCharCode(modifier1) + short(size) + String.fromCharCode(modifier2)
}
