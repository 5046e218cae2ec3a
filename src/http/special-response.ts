// The pages the server makes itself when there is nothing better to send (nginx's ngx_http_special_response.c).

import { reason } from '../codec/h1/write.ts'
import { PRODUCT } from '../lib/product.ts'

export const CONTENT_TYPE_HTML = 'text/html'

/** Titles that differ from the status line's reason. */
const titles: Readonly<Record<number, string>> = {
  302: '302 Found',
  413: '413 Request Entity Too Large',
  414: '414 Request-URI Too Large',
  416: '416 Requested Range Not Satisfiable',
  494: '400 Bad Request',
  495: '400 The SSL certificate error',
  496: '400 No required SSL certificate was sent',
  497: '400 The plain HTTP request was sent to HTTPS port',
  503: '503 Service Temporarily Unavailable',
  504: '504 Gateway Time-out',
}

/** Second heading of the pages that explain. */
const details: Readonly<Record<number, string>> = {
  494: 'Request Header Or Cookie Too Large',
  495: 'The SSL certificate error',
  496: 'No required SSL certificate was sent',
  497: 'The plain HTTP request was sent to HTTPS port',
}

const pages = new Map<number, string>()

/** The page for a status, nginx's own 494–497 included. */
export function specialPage(status: number): string {
  let page = pages.get(status)
  if (page === undefined) {
    const title = titles[status] ?? `${status} ${reason(status)}`.trimEnd()
    const heading = status >= 494 && status <= 497 ? '400 Bad Request' : title
    const detail = details[status] === undefined ? '' : `<center>${details[status]}</center>\r\n`
    page =
      `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n` +
      `<center><h1>${heading}</h1></center>\r\n${detail}<hr><center>${PRODUCT}</center>\r\n</body>\r\n</html>\r\n`
    pages.set(status, page)
  }
  return page
}
