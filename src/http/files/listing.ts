// A folder's listing as HTML, JSON or XML: pure text, byte for byte nginx's (ngx_http_autoindex_module).

import { escapeUri } from '../../codec/h1/uri.ts'
import { formatHttpDate } from '../../lib/http-date.ts'
import type { FolderEntry } from './folder.ts'
import { escapeHtml, escapeJson } from '../../lib/markup.ts'

/** Characters of a name that are shown. */
const NAME_WIDTH = 50
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

export interface HtmlListing {
  readonly exactSize: boolean
  readonly localTime: boolean
  /** Does the response say that it is UTF-8? Then a name is as wide as it has characters, not bytes. */
  readonly utf8: boolean
}

/** Directories first; by bytes. */
export function sortEntries(entries: FolderEntry[]): FolderEntry[] {
  return entries.sort((a, b) => {
    const order = Number(b.kind === 'directory') - Number(a.kind === 'directory')
    return order !== 0 ? order : a.name < b.name ? -1 : 1
  })
}

export function htmlListing(uri: string, entries: readonly FolderEntry[], form: HtmlListing): string {
  const title = `Index of ${escapeHtml(uri)}`
  let text =
    `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<h1>${title}</h1>` +
    '<hr><pre><a href="../">../</a>\r\n'
  for (const entry of entries) text += htmlLine(entry, form)
  return `${text}</pre><hr></body>\r\n</html>\r\n`
}

function htmlLine(entry: FolderEntry, form: HtmlListing): string {
  const { name, mtime } = entry
  const isFolder = entry.kind === 'directory'
  const link = `<a href="${escapeUri(name, 'component')}${isFolder ? '/' : ''}">`
  const shown = shownName(name, isFolder, form.utf8)
  return `${link}${shown} ${dateOf(mtime, form.localTime)} ${form.exactSize ? exactSize(entry) : roundSize(entry)}\r\n`
}

function shownName(name: string, isFolder: boolean, utf8: boolean): string {
  const decoded = utf8 ? decode(name) : null
  const characters = decoded === null ? name : Array.from(decoded)
  const width = characters.length
  if (width > NAME_WIDTH) {
    const cut = characters.slice(0, NAME_WIDTH - 3)
    const text = typeof cut === 'string' ? cut : encode(cut.join(''))
    return `${escapeHtml(text)}..&gt;</a>`
  }
  const slash = isFolder && width < NAME_WIDTH ? '/' : ''
  return `${escapeHtml(name)}${slash}</a>${' '.repeat(NAME_WIDTH - width - slash.length)}`
}

/** Null: it is not UTF-8, and every byte counts. */
function decode(name: string): string | null {
  try {
    return strictUtf8.decode(Buffer.from(name, 'latin1'))
  } catch {
    return null
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** `28-Sep-1970 12:00` */
function dateOf(mtime: number, local: boolean): string {
  const utc = new Date(mtime * 1000)
  const date = local ? new Date(utc.getTime() - new Date().getTimezoneOffset() * 60_000) : utc
  const day = `${two(date.getUTCDate())}-${MONTHS[date.getUTCMonth()]}-${date.getUTCFullYear()}`
  return `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`
}

function two(number: number): string {
  return `${number}`.padStart(2, '0')
}

function exactSize({ kind, size }: FolderEntry): string {
  return (kind === 'directory' ? '-' : `${size}`).padStart(19)
}

/** `123K`: halves are rounded up. */
function roundSize({ kind, size }: FolderEntry): string {
  if (kind === 'directory') return '-'.padStart(7)
  if (size <= 9999) return `${size}`.padStart(7)
  const [unit, scale] = size >= 1024 ** 3 ? [1024 ** 3, 'G'] : size >= 1024 ** 2 ? [1024 ** 2, 'M'] : [1024, 'K']
  return `${Math.floor(size / unit) + (size % unit >= unit / 2 ? 1 : 0)}`.padStart(6) + scale
}

export function jsonListing(entries: readonly FolderEntry[]): string {
  const lines = entries.map(({ name, kind, mtime, size }) => {
    const head = `\r\n{ "name":"${escapeJson(name)}", "type":"${kind}", "mtime":"${formatHttpDate(mtime)}"`
    return kind === 'file' ? `${head}, "size":${size} }` : `${head} }`
  })
  return `[${lines.join(',')}\r\n]`
}

export function xmlListing(entries: readonly FolderEntry[]): string {
  let text = '<?xml version="1.0"?>\r\n<list>\r\n'
  for (const { name, kind, mtime, size } of entries) {
    const time = new Date(mtime * 1000).toISOString().replace('.000Z', 'Z')
    const length = kind === 'file' ? ` size="${size}"` : ''
    text += `<${kind} mtime="${time}"${length}>${escapeHtml(name)}</${kind}>\r\n`
  }
  return `${text}</list>\r\n`
}
