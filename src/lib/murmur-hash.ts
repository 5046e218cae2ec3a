// MurmurHash2, 32 bits, seed 0: how split_clients divides, so that a client stays in its part when nginx is replaced.

const M = 0x5bd1e995

/** Of a latin1 string. */
export function murmurHash2(text: string): number {
  let left = text.length
  let h = left
  let at = 0
  while (left >= 4) {
    let k =
      text.charCodeAt(at) |
      (text.charCodeAt(at + 1) << 8) |
      (text.charCodeAt(at + 2) << 16) |
      (text.charCodeAt(at + 3) << 24)
    k = Math.imul(k, M)
    k ^= k >>> 24
    h = Math.imul(h, M) ^ Math.imul(k, M)
    at += 4
    left -= 4
  }
  if (left === 3) h ^= text.charCodeAt(at + 2) << 16
  if (left >= 2) h ^= text.charCodeAt(at + 1) << 8
  if (left >= 1) h = Math.imul(h ^ text.charCodeAt(at), M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  h ^= h >>> 15
  return h >>> 0
}
