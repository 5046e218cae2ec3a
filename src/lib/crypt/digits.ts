// The 64 characters of crypt(3), which writes the lowest six bits first.

const DIGITS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** `count` characters for the low bits of a number. */
export function digits(value: number, count: number): string {
  let text = ''
  for (let rest = value, i = 0; i < count; i++, rest >>>= 6) text += DIGITS[rest & 63]
  return text
}

/** The six bits a character stands for; -1 if it is none of the 64. */
export function digitValue(character: string): number {
  return character === '' ? -1 : DIGITS.indexOf(character)
}

/** Bytes of a digest, three to a group, in the order given: the first of each is the highest. */
export function groups(digest: Buffer, order: readonly (readonly [number, number, number])[]): string {
  return order.map(([a, b, c]) => digits((digest[a]! << 16) | (digest[b]! << 8) | digest[c]!, 4)).join('')
}
