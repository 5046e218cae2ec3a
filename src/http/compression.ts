// Compression on the fly. Modules offer codings at a location (gzip, br, zstd); one filter gives each response the one its
// client wants most, the first offered among equals.

import { isEncoded, reshape } from './altered-body.ts'
import type { Coder } from './coder.ts'
import { CodingStage } from './coding-stage.ts'
import { setCoding, varyByEncoding } from './gzip-conditions.ts'
import { Slot, type LocationBuilder } from './module.ts'
import type { BodyStage } from './output.ts'
import type { HttpRequest } from './request.ts'
import { isListed, type TypeList } from './type-list.ts'

export interface Offer {
  /** As in Content-Encoding. */
  readonly coding: string
  readonly types: TypeList
  /** Bodies known to be shorter are left alone. */
  readonly minLength: number
  /** How much this client wants it; 0: not at all. */
  quality(r: HttpRequest): number
  open(): Coder
}

interface CompressionConf {
  readonly offers: Offer[]
  readonly vary: boolean
}

const compressions = new WeakMap<LocationBuilder, CompressionConf>()

/** `vary`: tell caches that the answer depends on what the client takes. */
export function offerCoding(at: LocationBuilder, offer: Offer, vary: boolean): void {
  const present = compressions.get(at)
  if (present !== undefined) {
    present.offers.push(offer)
    return
  }
  const made = { offers: [offer], vary }
  compressions.set(at, made)
  at.filter(compress, made)
}

const stages = new Slot<CodingStage>()

/** What became of the response's body, null when it was not compressed. */
export function compressionOf(r: HttpRequest): { readonly inBytes: number; readonly outBytes: number } | null {
  return stages.get(r)
}

function compress(r: HttpRequest, { offers, vary }: CompressionConf): BodyStage | null {
  const { status } = r
  if ((status !== 200 && status !== 403 && status !== 404) || r.bodiless || isEncoded(r)) return null
  let best: Offer | null = null
  let quality = 0
  let isMeant = false
  for (let i = 0; i < offers.length; i++) {
    const offer = offers[i]!
    if (!suits(r, offer)) continue
    isMeant = true
    const wanted = offer.quality(r)
    if (wanted <= quality) continue
    best = offer
    quality = wanted
  }
  if (isMeant && vary) varyByEncoding(r)
  if (best === null) return null
  setCoding(r, best.coding)
  reshape(r)
  const stage = new CodingStage(best.coding, best.open())
  stages.set(r, stage)
  return stage
}

function suits(r: HttpRequest, { types, minLength }: Offer): boolean {
  if (r.contentLength !== -1 && r.contentLength < minLength) return false
  return types === null || (r.contentType !== '' && isListed(types, r.contentType))
}
