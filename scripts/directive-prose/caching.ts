// Responses of upstreams and applications that are kept, told once for proxy_, fastcgi_, uwsgi_, scgi_ and app_.

import type { Family, VariableTexts } from './prose.ts'

const REQUIRED_KEY =
  'What a response is found under: the same key, the same response. Required where there is a `PREFIX_cache`.'

export const caching: Family = {
  prefixes: ['proxy', 'fastcgi', 'uwsgi', 'scgi', 'app'],
  texts: {
    cache_path: {
      args: 'PATH [levels=LEVELS] [use_temp_path=on | off] keys_zone=NAME:SIZE [inactive=TIME] [max_size=SIZE] [min_free=SIZE] [manager_files=NUMBER] [manager_sleep=TIME] [manager_threshold=TIME] [loader_files=NUMBER] [loader_sleep=TIME] [loader_threshold=TIME]',
      text: 'Declares a cache: a folder, and memory for its keys that all threads share (eight thousand in a megabyte). What nobody asked for so long goes (`inactive`, 10 minutes), and the least used while files take more than `max_size`, or the disk has less than `min_free`. `levels=1:2` spreads files over folders, `use_temp_path=off` writes them there at once; `manager_…` say how much is tidied at a stretch, in files (100) or time (200 ms), and the pause between (50 ms); `loader_files` and `loader_sleep` likewise how the folder is looked through after a start, `loader_threshold` changes nothing.',
    },
    cache: {
      args: 'NAME | off',
      standard: 'off',
      text: 'Keeps responses in the cache of that name, and answers from it. Variables are allowed; what they name must exist.',
    },
    cache_key: { args: 'TEXT', text: REQUIRED_KEY },
    cache_bypass: {
      args: 'TEXT …',
      text: 'Requests for which one of the texts, which have variables, is neither empty nor `0` are not answered from the cache; what the upstream answers is kept.',
    },
    no_cache: {
      args: 'TEXT …',
      text: 'Responses to requests for which one of the texts is neither empty nor `0` are not kept.',
    },
    cache_valid: {
      args: '[CODE … | any] TIME',
      text: 'How long responses with these statuses (200, 301 and 302 unless named) are fresh if they do not say so themselves, by `X-Accel-Expires`, `Expires` or `Cache-Control`. Without either they are not kept.',
    },
    cache_min_uses: { text: 'How often a key must have been asked for until its response is kept.' },
    cache_max_range_offset: {
      standard: '=no limit',
      text: 'A range that begins farther in than that is asked of the upstream alone, and nothing is kept; `0`: all ranges.',
    },
    cache_use_stale: {
      args: 'error | timeout | invalid_header | http_500 | http_502 | http_503 | http_504 | http_403 | http_404 | http_429 | updating | off …',
      standard: 'off',
      text: 'When a response that is no longer fresh is sent all the same: if the upstream fails in one of these ways, or while another request fetches it anew (`updating`). Responses may allow it themselves by `stale-if-error` and `stale-while-revalidate`.',
    },
    cache_methods: { text: 'Which methods’ responses are kept. `GET` and `HEAD` are among them in any case.' },
    cache_lock: {
      text: 'Lets one request at a time fetch what is not in the cache; others for the same key wait, in all threads.',
    },
    cache_lock_timeout: {
      text: 'How long requests wait for `PREFIX_cache_lock`; then they ask the upstream as well, and what it answers them is not kept.',
    },
    cache_lock_age: { text: 'When the request that fetches (`PREFIX_cache_lock`) has taken so long, another may try.' },
    cache_revalidate: {
      text: 'Asks for what is no longer fresh with `If-Modified-Since` and `If-None-Match`; after a 304 it is fresh again.',
    },
    cache_background_update: {
      text: 'The request that finds a response no longer fresh gets it at once, while it is fetched anew in the background. What may be sent so is for `PREFIX_cache_use_stale updating` to say.',
    },
    cache_convert_head: {
      text: 'Asks with `GET` for what a client wants by `HEAD`, so that it can be kept. Off, the method should be part of the key.',
    },
  },
}

/** Without the kinds that those protocols have no statuses for. */
const withoutGateways = {
  args: 'error | timeout | invalid_header | http_500 | http_503 | http_403 | http_404 | http_429 | updating | off …',
}

export const cachingOfTheirOwn = {
  fastcgi_cache_use_stale: withoutGateways,
  uwsgi_cache_use_stale: withoutGateways,
  scgi_cache_use_stale: withoutGateways,
  app_cache_use_stale: {
    args: 'error | timeout | http_500 | http_502 | http_503 | http_504 | http_403 | http_404 | http_429 | updating | off …',
    text: 'When a response that is no longer fresh is sent all the same: if the application fails in one of these ways, or while another request fetches it anew (`updating`). `error`: its worker died, or it cannot be loaded; `timeout`: it has not answered in time; `http_503` is also a full queue, or one that was waited in too long. Responses may allow it themselves by `stale-if-error` and `stale-while-revalidate`.',
  },
  app_cache_key: {
    standard: '=scheme, host and URI, as the application hears them',
    text: 'What a response is found under: the same key, the same response.',
  },
  proxy_cache_key: {
    standard: '=scheme and name of the upstream, and the URI that it is asked for',
    text: 'What a response is found under: the same key, the same response.',
  },
}

export const cacheVariables: VariableTexts = {
  upstream_cache_status:
    'What the cache had: `HIT`, `MISS`, `EXPIRED`, `STALE`, `UPDATING`, `REVALIDATED`, or `BYPASS`; empty where there is no cache.',
  upstream_cache_last_modified: 'The `Last-Modified` of what is asked about anew (`proxy_cache_revalidate`).',
  upstream_cache_etag: 'The `ETag` of what is asked about anew (`proxy_cache_revalidate`).',
}
