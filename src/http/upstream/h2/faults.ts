// What is wrong with an upstream's frames and header blocks, in the words of nginx's log (ngx_http_grpc_module,
// ngx_http_proxy_v2_module).

import {
  BAD_HUFFMAN,
  BAD_INDEX,
  BAD_SIZE_UPDATE,
  CUT_NUMBER,
  CUT_STRING,
  LONG_INDEX,
  LONG_LENGTH,
  NAME_INVALID,
  VALUE_INVALID,
} from '../../../codec/h2/hpack-decoder.ts'
import type { FieldList } from '../../../codec/h2/hpack-decoder.ts'

/** @param size what the padding is part of */
export function tooMuchPadding(padding: number, size: number): string {
  return `upstream sent http2 frame with too long padding: ${padding} in frame ${size}`
}

/** @param fault HpackDecoder.fault @param value its faultValue */
export function problemOf(fault: number, value: number): string {
  switch (fault) {
    case BAD_INDEX:
      return `invalid http2 table index: ${value}`
    case BAD_SIZE_UPDATE:
      return `invalid http2 dynamic table size update: ${value}`
    case LONG_INDEX:
      return 'http2 table index with continuation flag'
    case LONG_LENGTH:
      return 'too large http2 header value length'
    case CUT_NUMBER:
    case CUT_STRING:
      return 'truncated http2 header'
    case BAD_HUFFMAN:
      return 'invalid encoded header'
    default:
      return 'invalid http2 header block'
  }
}

/** The first field that HTTP does not allow; '': there is none. @param what `header` or `trailer` */
export function faultIn(fields: FieldList, what: string): string {
  for (let i = 0; i < fields.count; i++) {
    if ((fields.faults[i]! & (NAME_INVALID | VALUE_INVALID)) !== 0) {
      return `upstream sent invalid ${what}: "${fields.names[i]}: ${fields.values[i]}"`
    }
  }
  return ''
}
