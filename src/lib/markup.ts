// Text made safe to stand in HTML and XML, and in JSON strings, byte for byte (ngx_escape_html, ngx_escape_json).

const HTML: Readonly<Record<string, string>> = { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' }

export function escapeHtml(text: string): string {
  return text.replace(/[<>&"]/g, character => HTML[character]!)
}

const JSON_SHORT: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
  '\\': '\\\\',
  '"': '\\"',
}

export function escapeJson(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\0-\x1f\\"]/g, character => {
    const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
    return JSON_SHORT[character] ?? `\\u${code}`
  })
}
