// A certificate's subject or issuer in the two forms that nginx has variables for. Node tells the name a line for each part,
// in the order of the certificate, escaped as RFC 2253 wants it but for what is not ASCII.

/** Between parts that make one together. In a value a plus is escaped. */
const SET = ' + '

/** `CN=example.org,O=Example`: the last part first, every byte ASCII (RFC 2253). */
export function rfc2253Name(lines: string | undefined): string {
  return (lines ?? '')
    .split('\n')
    .toReversed()
    .map(line => asciiOnly(line.split(SET).toReversed().join('+')))
    .join(',')
}

/** `/O=Example/CN=example.org`, as OpenSSL's X509_NAME_oneline() writes it. */
export function legacyName(lines: string | undefined): string {
  if (lines === undefined || lines === '') return ''
  return lines
    .split('\n')
    .map(
      line =>
        `/${line
          .split(SET)
          .map(part => hexadecimal(unescape(part)))
          .join('+')}`,
    )
    .join('')
}

/** The first common name, as UTF-8 bytes in latin1 text; '' without one. */
export function commonName(lines: string | undefined): string {
  const parts = (lines ?? '').split('\n').flatMap(line => line.split(SET))
  const named = parts.find(part => part.startsWith('CN='))
  return named === undefined ? '' : unescape(named.slice(3))
}

function asciiOnly(part: string): string {
  return part.replace(/[\u0080-\u{10ffff}]+/gu, text =>
    [...Buffer.from(text)].map(byte => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

/** Bytes, as latin1 text. */
function unescape(part: string): string {
  const bytes = Buffer.from(part).toString('latin1')
  return bytes.replace(/\\(?:([0-9A-F]{2})|(.))/gs, (_, code: string | undefined, sign: string | undefined) =>
    code === undefined ? sign! : String.fromCharCode(parseInt(code, 16)),
  )
}

function hexadecimal(bytes: string): string {
  return bytes.replace(/[^ -~]/g, byte => `\\x${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}
