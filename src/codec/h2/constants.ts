// The numbers of RFC 9113 and its relatives, by the names they have there.

// Frame types (section 6; PRIORITY_UPDATE is RFC 9218, 7.1).
export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PUSH_PROMISE = 5
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9
export const PRIORITY_UPDATE = 16

// Flags.
export const END_STREAM = 0x1
export const ACK = 0x1
export const END_HEADERS = 0x4
export const PADDED = 0x8
export const WITH_PRIORITY = 0x20

// Error codes (section 7).
export const NO_ERROR = 0
export const PROTOCOL_ERROR = 1
export const INTERNAL_ERROR = 2
export const FLOW_CONTROL_ERROR = 3
export const SETTINGS_TIMEOUT = 4
export const STREAM_CLOSED = 5
export const FRAME_SIZE_ERROR = 6
export const REFUSED_STREAM = 7
export const CANCEL = 8
export const COMPRESSION_ERROR = 9
export const CONNECT_ERROR = 10
export const ENHANCE_YOUR_CALM = 11
export const INADEQUATE_SECURITY = 12
export const HTTP_1_1_REQUIRED = 13

// Settings (section 6.5.2; NO_RFC7540_PRIORITIES is RFC 9218, 2.1).
export const HEADER_TABLE_SIZE = 1
export const ENABLE_PUSH = 2
export const MAX_CONCURRENT_STREAMS = 3
export const INITIAL_WINDOW_SIZE = 4
export const MAX_FRAME_SIZE = 5
export const MAX_HEADER_LIST_SIZE = 6
export const ENABLE_CONNECT_PROTOCOL = 8
export const NO_RFC7540_PRIORITIES = 9

export const FRAME_HEADER = 9
export const DEFAULT_WINDOW = 65535
export const WINDOW_MAX = 0x7fffffff
export const STREAM_MAX = 0x7fffffff
export const DEFAULT_FRAME_SIZE = 16384
export const FRAME_SIZE_MAX = 0xffffff
export const DEFAULT_TABLE_SIZE = 4096

/** What every client sends first (section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
