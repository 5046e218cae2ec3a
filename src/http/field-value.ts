// Variables may hold any byte: $uri is decoded, so a client decides what is in it. Nothing of that may end a line.

/** For a field's value: CR, LF and NUL become spaces (RFC 9110, 5.5). */
export function fieldValue(text: string): string {
  return text.includes('\n') || text.includes('\r') || text.includes('\0') ? text.replaceAll(/[\r\n\0]/g, ' ') : text
}

/** For a Location: the same, percent-encoded. */
export function locationValue(url: string): string {
  return url.includes('\n') || url.includes('\r') || url.includes('\0')
    ? url.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('\0', '%00')
    : url
}

/** For a request line's target: controls and spaces are percent-encoded. */
export function targetText(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\0-\x20\x7f]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}
