// HPACK's Huffman code (RFC 7541, 5.2 and appendix B). The code is canonical: the lengths of the codes say all, the codes
// themselves are counted up from them.
//
// Decoding looks nine bits up at once, which finds all that text is usually made of; longer codes are found by comparing
// with the first code of each length.

// Bits of the code for each byte; the 257th, EOS, has thirty.
const LENGTHS = Uint8Array.from(
  (
    '13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 ' +
    '6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 ' +
    '13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6 ' +
    '15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 ' +
    '20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 ' +
    '22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 ' +
    '26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 ' +
    '20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 30'
  )
    .split(' ')
    .map(Number),
)
const EOS = 256
const LONGEST = 30
const FAST_BITS = 9

const CODES = new Uint32Array(EOS + 1)
/** Symbols in the order of their codes. */
const SYMBOLS = new Uint16Array(EOS + 1)
/** For each length: the first code beyond it, left-aligned in 32 bits (as numbers: the last is 2^32), and where SYMBOLS has
 *  the symbol of its first code. */
const LIMITS = new Float64Array(LONGEST + 1)
const FIRST_CODES = new Uint32Array(LONGEST + 1)
const FIRST_SYMBOLS = new Uint16Array(LONGEST + 1)
/** By the next nine bits: symbol and length (symbol << 4 | length); 0 for a longer code. */
const FAST = new Uint16Array(1 << FAST_BITS)

let code = 0
let symbols = 0
for (let length = 1; length <= LONGEST; length++) {
  code *= 2
  FIRST_CODES[length] = code
  FIRST_SYMBOLS[length] = symbols
  for (let symbol = 0; symbol <= EOS; symbol++) {
    if (LENGTHS[symbol] !== length) continue
    CODES[symbol] = code
    SYMBOLS[symbols++] = symbol
    if (length <= FAST_BITS) {
      const shift = FAST_BITS - length
      FAST.fill((symbol << 4) | length, code << shift, (code + 1) << shift)
    }
    code++
  }
  LIMITS[length] = code * 2 ** (32 - length)
}

/** Answers the decoded length, or -1: EOS in the text, or padding that is too long (in bits; 7 by the RFC) or
 *  has zeros. `into` must have room for
 *  8/5 of the input. */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number, into: Uint8Array, paddingMax = 7): number {
  let window = 0
  let bits = 0
  let used = 0
  let at = start
  for (;;) {
    while (bits <= 24 && at < end) {
      window |= bytes[at++]! << (24 - bits)
      bits += 8
    }
    const fast = FAST[window >>> 23]!
    let length = fast & 15
    let symbol = fast >>> 4
    if (length === 0) {
      // A long code may end in the byte that had no room in the window.
      const aligned = (at < end ? window | (bytes[at]! >>> (bits - 24)) : window) >>> 0
      length = FAST_BITS + 1
      while (length <= LONGEST && aligned >= LIMITS[length]!) length++
      if (length > bits && at === end) break
      symbol = SYMBOLS[FIRST_SYMBOLS[length]! + (aligned >>> (32 - length)) - FIRST_CODES[length]!]!
      if (symbol === EOS) return -1
      if (length > bits) {
        into[used++] = symbol
        length -= bits
        window = bytes[at++]! << (24 + length)
        bits = 8 - length
        continue
      }
    } else if (length > bits) break
    into[used++] = symbol
    window <<= length
    bits -= length
  }
  // What is left must be the beginning of EOS, and no whole byte of it (unless the reader is lenient).
  if (bits > paddingMax || at < end) return -1
  return bits === 0 || window >>> (32 - bits) === (1 << bits) - 1 ? used : -1
}

/** Bytes that latin1 text takes when it is encoded. */
export function huffmanLength(text: string): number {
  let bits = 0
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i)]!
  return (bits + 7) >>> 3
}

/** Encodes latin1 text; answers where it ends. */
export function huffmanEncode(text: string, into: Uint8Array, at: number): number {
  let window = 0
  let bits = 0
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i)
    let length = LENGTHS[symbol]!
    const codeOf = CODES[symbol]!
    if (length > 16) {
      // In two pieces, so that the window is never more than 32 bits.
      length -= 16
      window = (window << length) | (codeOf >>> 16)
      for (bits += length; bits >= 8;) into[at++] = window >>> (bits -= 8)
      window = (window << 16) | (codeOf & 0xffff)
      length = 16
    } else window = (window << length) | codeOf
    for (bits += length; bits >= 8;) into[at++] = window >>> (bits -= 8)
  }
  if (bits > 0) into[at++] = (window << (8 - bits)) | (0xff >>> bits)
  return at
}
