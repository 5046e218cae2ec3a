// CRC-32C (Castagnoli; RFC 3720, appendix B.4), which zlib does not have.

/** The polynomial with its bits reversed. */
const POLYNOMIAL = 0x82f63b78

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ POLYNOMIAL
  return value >>> 0
})

/** @param text one character a byte */
export function crc32c(text: string): number {
  let crc = 0xffffffff
  for (let i = 0; i < text.length; i++) crc = (crc >>> 8) ^ table[(crc ^ text.charCodeAt(i)) & 255]!
  return (crc ^ 0xffffffff) >>> 0
}
