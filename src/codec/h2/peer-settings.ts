// What the other side has asked for in SETTINGS (RFC 9113, 6.5.2).

import {
  DEFAULT_FRAME_SIZE,
  DEFAULT_TABLE_SIZE,
  DEFAULT_WINDOW,
  ENABLE_CONNECT_PROTOCOL,
  ENABLE_PUSH,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_MAX,
  HEADER_TABLE_SIZE,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_FRAME_SIZE,
  MAX_HEADER_LIST_SIZE,
  NO_ERROR,
  PROTOCOL_ERROR,
  WINDOW_MAX,
} from './constants.ts'

export class PeerSettings {
  tableSize = DEFAULT_TABLE_SIZE
  push = true
  concurrentStreams = 0xffffffff
  initialWindow = DEFAULT_WINDOW
  frameMax = DEFAULT_FRAME_SIZE
  fieldsMax = 0xffffffff
  /** RFC 8441. */
  extendedConnect = false
  /** What is wrong with the value that was refused. */
  error = ''

  /** Takes one setting; unknown ones are of no concern. @returns NO_ERROR, or what the connection ends with */
  take(setting: number, value: number, fromServer: boolean): number {
    switch (setting) {
      case HEADER_TABLE_SIZE:
        this.tableSize = value
        break
      case ENABLE_PUSH:
        if (value > 1 || (fromServer && value !== 0)) return this.refuse('ENABLE_PUSH', value, PROTOCOL_ERROR)
        this.push = value === 1
        break
      case MAX_CONCURRENT_STREAMS:
        this.concurrentStreams = value
        break
      case INITIAL_WINDOW_SIZE:
        if (value > WINDOW_MAX) return this.refuse('INITIAL_WINDOW_SIZE', value, FLOW_CONTROL_ERROR)
        this.initialWindow = value
        break
      case MAX_FRAME_SIZE:
        if (value < DEFAULT_FRAME_SIZE || value > FRAME_SIZE_MAX)
          return this.refuse('MAX_FRAME_SIZE', value, PROTOCOL_ERROR)
        this.frameMax = value
        break
      case MAX_HEADER_LIST_SIZE:
        this.fieldsMax = value
        break
      case ENABLE_CONNECT_PROTOCOL:
        if (value > 1) return this.refuse('ENABLE_CONNECT_PROTOCOL', value, PROTOCOL_ERROR)
        this.extendedConnect = value === 1
        break
    }
    return NO_ERROR
  }

  private refuse(name: string, value: number, code: number): number {
    this.error = `sent SETTINGS frame with incorrect ${name} value ${value}`
    return code
  }
}
