// What is wrong with a header block that has come, in the words of nginx's log where it has some (ngx_http_v2.c).

import {
  BAD_HUFFMAN,
  BAD_INDEX,
  BAD_SIZE_UPDATE,
  CUT_STRING,
  LATE_SIZE_UPDATE,
  LONG_INDEX,
  LONG_LENGTH,
  LONG_SIZE_UPDATE,
} from './hpack-decoder.ts'
import { STATIC_SIZE } from './hpack-table.ts'

/** @param fault HpackDecoder.fault @param value its faultValue */
export function problemOf(fault: number, value: number): string {
  switch (fault) {
    case BAD_INDEX:
      return value === 0 ? 'invalid hpack table index 0' : `out of bound hpack table index: ${value - STATIC_SIZE - 1}`
    case BAD_SIZE_UPDATE:
      return `invalid table size update: ${value}`
    case LATE_SIZE_UPDATE:
      return 'table size update behind a field'
    case LONG_INDEX:
      return 'header block with too long header index value'
    case LONG_SIZE_UPDATE:
      return 'header block with too long size update value'
    case LONG_LENGTH:
      return 'header field with too long length value'
    case CUT_STRING:
      return 'header field with incorrect length'
    case BAD_HUFFMAN:
      return 'invalid encoded header field'
    default:
      return 'header block with incorrect length'
  }
}
