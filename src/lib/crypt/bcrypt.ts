// crypt(3)'s `$2a$`, `$2b$` and `$2y$`: bcrypt (Provos and Mazières, 1999), Blowfish with an expensive key schedule.
//
// Blowfish's boxes begin as the binary digits of pi's fraction, so they are worked out here instead of written down.

const ROUNDS = 16
const P_SIZE = ROUNDS + 2
const BOXES = 4
const DIGITS = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const TEXT = 'OrpheanBeholderScryDoubt'
const PASSWORD_MAX = 72

interface State {
  readonly p: Uint32Array
  /** The four boxes, one behind the other. */
  readonly s: Uint32Array
}

let initial: State | null = null

/** @param setting `$2b$NN$` and 22 characters of salt, with anything behind; null if it is not that */
export function bcrypt(password: Buffer, setting: string): string | null {
  const parts = /^(\$2[aby]\$(\d\d)\$)([./A-Za-z0-9]{22})/.exec(setting)
  if (parts === null) return null
  const [, prefix, cost, saltText] = parts
  if (Number(cost) < 4 || Number(cost) > 31) return null
  const salt = words(decode(saltText!, 16))
  const state = expensive(Number(cost), salt, words(keyOf(password)))
  const cipher = words(Buffer.from(TEXT))
  for (let i = 0; i < cipher.length; i += 2) for (let n = 0; n < 64; n++) encipher(state, cipher, i)
  const bytes = Buffer.alloc(24)
  cipher.forEach((word, i) => bytes.writeUInt32BE(word, i * 4))
  // The salt's last character holds two bits too many; what comes out has them cleared.
  return `${prefix}${encode(decode(saltText!, 16), 22)}${encode(bytes.subarray(0, 23), 31)}`
}

/** 72 bytes of the password and the zero behind it, again and again. */
function keyOf(password: Buffer): Buffer {
  const end = password.indexOf(0)
  const text = Buffer.concat([end === -1 ? password : password.subarray(0, end), Buffer.alloc(1)])
  return Buffer.alloc(PASSWORD_MAX, text)
}

function words(bytes: Buffer): Uint32Array {
  return Uint32Array.from({ length: bytes.length >> 2 }, (_, i) => bytes.readUInt32BE(i * 4))
}

function expensive(cost: number, salt: Uint32Array, key: Uint32Array): State {
  initial ??= fromPi()
  const state = { p: initial.p.slice(), s: initial.s.slice() }
  const none = new Uint32Array(salt.length)
  const saltKey = Uint32Array.from({ length: P_SIZE }, (_, i) => salt[i % salt.length]!)
  schedule(state, salt, key)
  for (let i = 0; i < 2 ** cost; i++) {
    schedule(state, none, key)
    schedule(state, none, saltKey)
  }
  return state
}

function schedule(state: State, salt: Uint32Array, key: Uint32Array): void {
  const { p, s } = state
  for (let i = 0; i < P_SIZE; i++) p[i] = p[i]! ^ key[i]!
  const block = new Uint32Array(2)
  let at = 0
  for (const target of [p, s]) {
    for (let i = 0; i < target.length; i += 2) {
      block[0] = block[0]! ^ salt[at]!
      block[1] = block[1]! ^ salt[at + 1]!
      at = (at + 2) % salt.length
      encipher(state, block, 0)
      target[i] = block[0]
      target[i + 1] = block[1]
    }
  }
}

function encipher({ p, s }: State, block: Uint32Array, at: number): void {
  let left = block[at]! ^ p[0]!
  let right = block[at + 1]!
  for (let i = 1; i <= ROUNDS; i += 2) {
    right ^= mix(s, left) ^ p[i]!
    left ^= mix(s, right) ^ p[i + 1]!
  }
  block[at] = right ^ p[P_SIZE - 1]!
  block[at + 1] = left
}

function mix(s: Uint32Array, x: number): number {
  const sum = (s[x >>> 24]! + s[256 + ((x >>> 16) & 255)]!) | 0
  return ((sum ^ s[512 + ((x >>> 8) & 255)]!) + s[768 + (x & 255)]!) | 0
}

/** Machin: pi = 16 arctan(1/5) - 4 arctan(1/239), in binary fixed point with some bits to spare. */
function fromPi(): State {
  const count = P_SIZE + BOXES * 256
  const bits = BigInt(count * 32)
  const spare = 64n
  const one = 1n << (bits + spare)
  const pi = 16n * arctanOfInverse(5n, one) - 4n * arctanOfInverse(239n, one)
  const hex = ((pi - 3n * one) >> spare).toString(16).padStart(count * 8, '0')
  const all = Uint32Array.from({ length: count }, (_, i) => parseInt(hex.slice(i * 8, i * 8 + 8), 16))
  return { p: all.slice(0, P_SIZE), s: all.slice(P_SIZE) }
}

function arctanOfInverse(x: bigint, one: bigint): bigint {
  const square = x * x
  let power = one / x
  let sum = power
  for (let n = 3n, sign = -1n; power > 0n; n += 2n, sign = -sign) {
    power /= square
    sum += (sign * power) / n
  }
  return sum
}

// bcrypt's own base64: highest bits first, and its own order of characters.

function decode(text: string, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let bits = 0
  let value = 0
  let at = 0
  for (const character of text) {
    value = ((value << 6) | DIGITS.indexOf(character)) & 0xffff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    if (at < length) bytes[at++] = value >> bits
  }
  return bytes
}

function encode(bytes: Buffer, length: number): string {
  let text = ''
  for (let i = 0; i < length; i++) {
    const at = i * 6
    const pair = (bytes[at >> 3]! << 8) | (bytes[(at >> 3) + 1] ?? 0)
    text += DIGITS[(pair >> (10 - (at & 7))) & 63]
  }
  return text
}
