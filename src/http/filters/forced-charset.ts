// X-Accel-Charset: the charset that an upstream's response is to reach the client in, whatever `charset` says. The filter
// that does it is modules/charset.ts's.

import { Slot } from '../module.ts'

export const forcedCharset = new Slot<string>()
