// Directives of nginx's modules that will not be built in: what they do belongs elsewhere, and `unknown directive` would send
// people looking for a spelling mistake. Each is refused in words that say what to do instead.

import { HTTP, IF_IN_LOCATION, LOCATION, SERVER, type Directives } from '../../config/directive.ts'
import { refused } from '../../config/values.ts'
import { httpModule } from '../module.ts'

const anywhere = HTTP | SERVER | LOCATION | IF_IN_LOCATION

const images =
  'images are not decoded here, where one that was made to harm would meet every client: put an image service behind "proxy_pass"'
const stylesheets =
  'XML is not transformed here: let the application send the page, or put a service behind "proxy_pass"'
const recordings = 'recordings are sent as plain files, which players seek in by ranges: leave it out'
const countries = 'there is no GeoIP library here: convert its data for "geo"'
const perl = 'there is no Perl here: "app" runs Python and JavaScript'

function family(why: string, ...names: readonly string[]): Directives {
  return Object.fromEntries(names.map(name => [name, refused(anywhere, `"${name}" is not supported: ${why}`)]))
}

export const refusedModule = httpModule({
  name: 'refused',
  directives: {
    ...family(
      images,
      'image_filter',
      'image_filter_buffer',
      'image_filter_interlace',
      'image_filter_jpeg_quality',
      'image_filter_sharpen',
      'image_filter_transparency',
      'image_filter_webp_quality',
    ),
    ...family(
      stylesheets,
      'xml_entities',
      'xslt_last_modified',
      'xslt_param',
      'xslt_string_param',
      'xslt_stylesheet',
      'xslt_types',
    ),
    ...family(
      recordings,
      'flv',
      'mp4',
      'mp4_buffer_size',
      'mp4_max_buffer_size',
      'mp4_limit_rate',
      'mp4_limit_rate_after',
    ),
    ...family(countries, 'geoip_country', 'geoip_city', 'geoip_org', 'geoip_proxy', 'geoip_proxy_recursive'),
    ...family(perl, 'perl', 'perl_modules', 'perl_require', 'perl_set'),
  },
})
