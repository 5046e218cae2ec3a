// server_tokens: what responses and error pages call the server. nginx's name, since clients, scripts and monitoring of an nginx
// shall see what they saw before; `name=` gives another.

import { HTTP, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { NGINX_VERSION, PRODUCT, VERSION } from '../../lib/product.ts'

const CHOICES = ['on', 'off', 'build']
const NAME = /^name=([A-Za-z0-9!#$%&'*+.^_`|~-]+)$/ // a token (RFC 9110, 5.6.2)

export const serverTokens: Directive<string> = {
  in: HTTP | SERVER | LOCATION,
  args: [1, 2],
  default: `nginx/${NGINX_VERSION}`,
  parse([word, named], at) {
    const tokens = word!.toLowerCase()
    if (!CHOICES.includes(tokens)) {
      at.fail(`invalid value "${word}"`, `it must be one of ${CHOICES.map(one => `"${one}"`).join(', ')}`)
    }
    const name = named === undefined ? 'nginx' : NAME.exec(named)?.[1]
    if (name === undefined) return at.fail(`invalid value "${named}"`, 'it must be "name=" and a word')
    if (tokens === 'off') return name
    const full = named === undefined ? `nginx/${NGINX_VERSION}` : `${name}/${VERSION}`
    return tokens === 'build' ? `${full} (${PRODUCT}/${VERSION})` : full
  },
}
