// Ready strings that both sides write: status lines with nginx's reason phrases, dates, the lines around chunks.

// The standard's phrases, but where nginx keeps older ones (302, 405, 408, 413, 414, 416, 503, 504); statuses that nginx
// itself never sends have those of the standard too.
const REASONS: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  102: 'Processing',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  207: 'Multi-Status',
  208: 'Already Reported',
  226: 'IM Used',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Moved Temporarily',
  303: 'See Other',
  304: 'Not Modified',
  305: 'Use Proxy',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Time-out',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Large',
  415: 'Unsupported Media Type',
  416: 'Requested Range Not Satisfiable',
  417: 'Expectation Failed',
  418: "I'm a teapot",
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  423: 'Locked',
  424: 'Failed Dependency',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Temporarily Unavailable',
  504: 'Gateway Time-out',
  505: 'HTTP Version Not Supported',
  506: 'Variant Also Negotiates',
  507: 'Insufficient Storage',
  508: 'Loop Detected',
  511: 'Network Authentication Required',
}

const LINES: string[] = []
for (let code = 0; code < 1000; code++) LINES.push(compose(code))

/** The reason phrase; empty for a status that has none. */
export function reason(code: number): string {
  return REASONS[code] ?? ''
}

/** `HTTP/1.1 200 OK\r\n`. The space stays where there is no phrase (RFC 9112, 4), as in nginx. */
export function statusLine(code: number): string {
  return LINES[code] ?? compose(code)
}

function compose(code: number): string {
  return `HTTP/1.1 ${String(code).padStart(3, '0')} ${reason(code)}\r\n`
}

let cachedSecond = NaN
let cachedDate = ''

/** IMF-fixdate (RFC 9110, 5.6.7) of seconds since 1970; the last one is kept. */
export function httpDate(seconds: number): string {
  if (seconds !== cachedSecond) {
    cachedSecond = seconds
    cachedDate = new Date(seconds * 1000).toUTCString()
  }
  return cachedDate
}

/** The line before a chunk of that many bytes; CRLF goes behind it. */
export function chunkLine(size: number): string {
  return `${size.toString(16)}\r\n`
}

export const LAST_CHUNK = '0\r\n\r\n'
/** What ends a chunked body that has trailers, before them; an empty line follows them. */
export const TRAILERS_FOLLOW = '0\r\n'
