// secure_link: links that cannot be made up, because a digest in them proves knowledge of a secret, and that may expire
// (ngx_http_secure_link_module).

import { createHash, timingSafeEqual } from 'node:crypto'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { str, template } from '../../config/values.ts'
import { httpModule, LocationSlot, type Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'

const everywhere = HTTP | SERVER | LOCATION

const directives = {
  secure_link: template(everywhere, null),
  secure_link_md5: template(everywhere, null),
  secure_link_secret: str(everywhere, null),
}

interface SecureLink {
  /** `digest` or `digest,expires`, and what the digest must be of. */
  readonly link: Value | null
  readonly text: Value | null
  /** The older way: `/prefix/digest/link`, digest of link and secret. */
  readonly secret: string | null
}

const confs = new LocationSlot<SecureLink>()

export const secureLink = httpModule({
  name: 'secure-link',
  directives,
  variables: {
    secure_link: { get: secureLinkValue },
    secure_link_expires: { get: secureLinkExpires },
  },
  compile(conf, at) {
    const { secure_link, secure_link_md5, secure_link_secret } = conf
    if (at.has('secure_link_secret') && (at.has('secure_link') || at.has('secure_link_md5'))) {
      const site = at.site('secure_link_secret')!
      site.fail('"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"')
    }
    const old = at.has('secure_link_secret') || (secure_link === null && secure_link_md5 === null)
    at.keep(confs, {
      link: secure_link === null ? null : at.value(secure_link),
      text: secure_link_md5 === null ? null : at.value(secure_link_md5),
      secret: old ? secure_link_secret : null,
    })
  },
})

/** `digest[,expires]` taken apart; `expires` is '' without one. Null if there is no link or its time makes no sense. */
function parts(r: HttpRequest, conf: SecureLink): { digest: string; expires: string } | null {
  const link = conf.link!.get(r)
  const comma = link.indexOf(',')
  if (comma === -1) return { digest: link, expires: '' }
  const expires = link.slice(comma + 1)
  return /^\d{1,15}$/.test(expires) && Number(expires) > 0 ? { digest: link.slice(0, comma), expires } : null
}

/** `1`: good, `0`: it was, null: not. The older way answers the link itself. */
function secureLinkValue(r: HttpRequest): string | null {
  const conf = confs.get(r)
  if (conf === null) return null
  if (conf.secret !== null) return linkBehindDigest(r, conf.secret)
  if (conf.link === null || conf.text === null) return null
  const link = parts(r, conf)
  if (link === null || !/^[A-Za-z0-9_-]{22}={0,2}$/.test(link.digest)) return null
  const wanted = createHash('md5').update(conf.text.get(r), 'latin1').digest()
  if (!timingSafeEqual(Buffer.from(link.digest, 'base64url'), wanted)) return null
  return link.expires !== '' && Number(link.expires) < Math.floor(Date.now() / 1000) ? '0' : '1'
}

function secureLinkExpires(r: HttpRequest): string | null {
  const conf = confs.get(r)
  if (conf === null || conf.secret !== null || conf.link === null || conf.text === null) return null
  return parts(r, conf)?.expires || null
}

/** The link of `/prefix/digest/link`, if the digest is that of link and secret. */
function linkBehindDigest(r: HttpRequest, secret: string): string | null {
  const found = /^.[^/]*\/([0-9A-Fa-f]{32})\/(.+)$/s.exec(r.unparsedUri)
  if (found === null) return null
  const [, digest, link] = found
  const wanted = createHash('md5')
    .update(link! + secret, 'latin1')
    .digest()
  return timingSafeEqual(Buffer.from(digest!, 'hex'), wanted) ? link! : null
}
