// Cuts what comes in into the records of TLS. A record is handed over as a whole and where it lies; only one that is not complete
// is copied, and records that lie behind a pause.

/** A record of TLS: its head, and the most that OpenSSL lets it hold. */
const RECORD_HEAD = 5
const RECORD_MAX = RECORD_HEAD + 16384 + 320
const NOTHING = Buffer.alloc(0)

export interface RecordSink {
  /** Does anybody want more at all? What is left otherwise counts for nothing. */
  readonly takesRecords: boolean
  /** False: it pauses, and what is left is kept. */
  readonly reading: boolean
  onRecord(record: Buffer): void
}

export class RecordReader {
  private readonly sink: RecordSink
  /** Bytes of a record that is not complete, or of records behind a pause. */
  private held: Buffer = NOTHING

  constructor(sink: RecordSink) {
    this.sink = sink
  }

  /** Are there bytes that have not been handed over? */
  get holds(): boolean {
    return this.held.length > 0
  }

  /** Keeps a copy for readHeld(). */
  hold(bytes: Buffer): void {
    this.held = Buffer.from(bytes)
  }

  /** Hands over what was held. */
  readHeld(): void {
    const { held } = this
    this.held = NOTHING
    this.consume(held, 0)
  }

  take(chunk: Buffer): void {
    let at = 0
    while (this.held.length > 0 && at < chunk.length) {
      const { held } = this
      const missing = recordSize(held) - held.length
      if (missing <= 0) {
        // Records are left from a pause.
        this.held = NOTHING
        this.consume(Buffer.concat([held, chunk.subarray(at)]), 0)
        return
      }
      const end = Math.min(chunk.length, at + missing)
      const bytes = Buffer.concat([held, chunk.subarray(at, end)])
      at = end
      this.held = NOTHING
      this.consume(bytes, 0)
    }
    if (at < chunk.length) this.consume(chunk, at)
  }

  private consume(bytes: Buffer, start: number): void {
    const { sink } = this
    let at = start
    while (at < bytes.length && sink.takesRecords) {
      const end = sink.reading ? recordEnd(bytes, at, bytes.length) : -1
      if (end < 0) {
        this.held = Buffer.from(bytes.subarray(at))
        return
      }
      const record = bytes.subarray(at, end)
      at = end
      sink.onRecord(record)
    }
  }
}

/** Where the record that begins at `start` ends. What is no record, or one longer than allowed, is OpenSSL's to refuse: then
 *  `end`. -1: not known before there are more bytes. */
function recordEnd(bytes: Buffer, start: number, end: number): number {
  const type = bytes[start]!
  if (type < 20 || type > 24) return end
  if (end - start < RECORD_HEAD) return -1
  const size = RECORD_HEAD + bytes.readUInt16BE(start + 3)
  if (bytes[start + 1] !== 3 || size > RECORD_MAX) return end
  return start + size <= end ? start + size : -1
}

/** How long the record that begins with these bytes is, as far as they tell. */
function recordSize(bytes: Buffer): number {
  return bytes.length < RECORD_HEAD ? RECORD_HEAD : RECORD_HEAD + bytes.readUInt16BE(3)
}
