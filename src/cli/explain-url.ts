// The arguments of `portico explain`. The URL is taken apart by hand: what the client sends must stay as it was typed.

export interface Url {
  readonly scheme: 'http' | 'https'
  /** As in a Host field, '' for a path alone; and without its port. */
  readonly host: string
  readonly hostname: string
  readonly port: number
  /** Path and arguments as sent. */
  readonly target: string
}

export interface Question {
  readonly file: string
  readonly prefix: string | null
  readonly directives: string
  readonly method: string
  readonly url: Url
  /** `Name: value` */
  readonly fields: readonly string[]
  readonly json: boolean
}

/** What is wrong with the command line. */
export class UsageError extends Error {}

export const usage = `Usage: portico explain -c FILE [-p PREFIX] [-g DIRECTIVES] [-H 'NAME: VALUE'] [--json] METHOD URL

Tells what a request would meet: address, server, location, rules, checks, handler. Nothing is started or asked.
URL may be a path alone, then the request comes to the first address; -H may be given more than once.
`

export function parseQuestion(args: readonly string[]): Question {
  const words: string[] = []
  const fields: string[] = []
  const values: Record<string, string> = {}
  let json = false
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!
    if (word === '--json') json = true
    else if (/^-[cpgH]/.test(word)) {
      const value = word.slice(2) || args[++i]
      if (value === undefined) throw new UsageError(`option "${word}" requires a value`)
      if (word.startsWith('-H')) fields.push(parseField(bytes(value)))
      else values[word.charAt(1)] = bytes(value)
    } else if (word.startsWith('-')) throw new UsageError(`invalid option: "${word}"`)
    else words.push(bytes(word))
  }
  const [method, url] = words
  if (words.length !== 2 || method === undefined || url === undefined)
    throw new UsageError('a method and a URL are required')
  if (!/^[A-Z_-]+$/.test(method)) throw new UsageError(`invalid method "${method}"`)
  const { c: file, p: prefix = null, g: directives = '' } = values
  if (file === undefined) throw new UsageError('option "-c" is required')
  return { file, prefix, directives, method, url: parseUrl(url), fields, json }
}

/** Arguments come as UTF-8; heads and paths are bytes. */
function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

function parseField(text: string): string {
  if (!/^[^:\s]+:[^\r\n\0]*$/.test(text)) throw new UsageError(`invalid header field "${text}"`)
  return text
}

export function parseUrl(text: string): Url {
  const found = /^(?:(https?):\/\/(\[[^\]]*\]|[^/?#:]*)(?::(\d{1,5}))?)?([/?][^#]*)?(?:#.*)?$/i.exec(text)
  if (found === null || text === '' || /[\0- \x7f]/.test(text)) throw new UsageError(`invalid URL "${text}"`)
  const [, scheme = 'http', host = '', portText, rest = ''] = found
  if (found[1] !== undefined && host === '') throw new UsageError(`no host in URL "${text}"`)
  const isHttps = scheme.toLowerCase() === 'https'
  const port = portText === undefined ? (isHttps ? 443 : 80) : Number(portText)
  if (port < 1 || port > 65535) throw new UsageError(`invalid port in URL "${text}"`)
  return {
    scheme: isHttps ? 'https' : 'http',
    host: portText === undefined ? host : `${host}:${portText}`,
    hostname: host.replace(/^\[|\]$/g, '').toLowerCase(),
    port,
    target: rest.startsWith('/') ? rest : `/${rest}`,
  }
}
