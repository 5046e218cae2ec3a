// DER (X.690): the few types that certificates and requests for them are made of. Writing only; what is read is left to
// OpenSSL.

/** A value of any type: its tag, its length, its content. */
export function tagged(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body])
}

function lengthOf(length: number): Buffer {
  if (length < 128) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

export function sequence(...items: readonly Buffer[]): Buffer {
  return tagged(0x30, ...items)
}

export function set(...items: readonly Buffer[]): Buffer {
  return tagged(0x31, ...items)
}

/** Of bytes that stand for a number which is not negative. */
export function integer(bytes: Buffer): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const number = bytes.subarray(start)
  return tagged(2, number.length === 0 || number[0]! >= 128 ? Buffer.concat([Buffer.from([0]), number]) : number)
}

export function boolean(value: boolean): Buffer {
  return tagged(1, Buffer.from([value ? 255 : 0]))
}

export function octets(bytes: Buffer): Buffer {
  return tagged(4, bytes)
}

/** Whole bytes of bits. */
export function bits(bytes: Buffer): Buffer {
  return tagged(3, Buffer.from([0]), bytes)
}

export function utf8(text: string): Buffer {
  return tagged(12, Buffer.from(text))
}

/** `1.2.840.113549` */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number)
  return tagged(6, Buffer.from([first * 40 + second, ...others.flatMap(base128)]))
}

function base128(number: number): number[] {
  const digits = [number % 128]
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift(128 | (rest % 128))
  return digits
}

/** A time with four digits of year from 2050 on, as certificates want it (RFC 5280, 4.1.2.5). */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\.\d+|[-:T]/g, '')
  return Number(digits.slice(0, 4)) < 2050
    ? tagged(23, Buffer.from(digits.slice(2), 'latin1'))
    : tagged(24, Buffer.from(digits, 'latin1'))
}
