// Compression on the fly. Modules offer codings at a location (gzip, br, zstd); one filter gives each response the one its
// client wants most, the first offered among equals.

import { isEncoded, reshape } from '../altered-body.ts'
import type { Coder } from './coder.ts'
import { CodingStage } from './coding-stage.ts'
import { setCoding, varyByEncoding } from './gzip-conditions.ts'
import { Slot, type LocationBuilder } from '../module.ts'
import type { BodyStage } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { isListed, type TypeList } from './type-list.ts'

export interface Offer {
  /** As in Content-Encoding. */
  readonly coding: string
  readonly types: TypeList
  /** Bodies known to be shorter are left alone. */
  readonly minLength: number
  /** How much this client wants it; 0: not at all. */
  quality(r: HttpRequest): number
  /** For a body of that length, -1 if it is not known. */
  open(length: number): Coder
  /** What its settings are: the same settings make the same of the same. */
  readonly form: string
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
  at.filter(compress, made, willCompress)
}

const stages = new Slot<CodingStage>()

/** What became of the response's body, null when it was not compressed. */
export function compressionOf(r: HttpRequest): { readonly inBytes: number; readonly outBytes: number } | null {
  return stages.get(r)
}

function compress(r: HttpRequest, { offers, vary }: CompressionConf): BodyStage | null {
  if (!isCompressible(r)) return null
  const offer = bestOffer(r, offers)
  if (vary && (offer !== null || offers.some(offer => suits(r, offer)))) varyByEncoding(r)
  if (offer === null) return null
  const length = r.contentLength
  setCoding(r, offer.coding)
  reshape(r)
  if (r.bodiless) return null
  const stage = new CodingStage(offer.coding, () => offer.open(length), offer.form)
  stages.set(r, stage)
  return stage
}

/** Then the whole is sent, compressed, whichever part was asked for. */
function willCompress(r: HttpRequest, { offers }: CompressionConf): boolean {
  return isCompressible(r) && bestOffer(r, offers) !== null
}

function isCompressible(r: HttpRequest): boolean {
  const { status } = r
  return (status === 200 || status === 403 || status === 404) && !isEncoded(r)
}

function bestOffer(r: HttpRequest, offers: readonly Offer[]): Offer | null {
  let best: Offer | null = null
  let quality = 0
  for (let i = 0; i < offers.length; i++) {
    const offer = offers[i]!
    const wanted = suits(r, offer) ? offer.quality(r) : 0
    if (wanted <= quality) continue
    best = offer
    quality = wanted
  }
  return best
}

function suits(r: HttpRequest, { types, minLength }: Offer): boolean {
  if (r.contentLength !== -1 && r.contentLength < minLength) return false
  return types === null || (r.contentType !== '' && isListed(types, r.contentType))
}
