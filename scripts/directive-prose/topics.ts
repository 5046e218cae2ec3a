// Which page of the reference is about what, in the order a reader goes through them.

export interface Topic {
  readonly title: string
  /** Guides that tell what to use them for; absent: none. */
  readonly guides?: readonly string[]
  /** Pages by name, and what each is about. */
  readonly pages: Readonly<Record<string, string>>
}

export const topics: readonly Topic[] = [
  {
    title: 'The program',
    guides: ['operate'],
    pages: {
      main: 'The program as a whole: threads, files, logs. What stands outside of all blocks.',
      events: 'Connections of all kinds.',
    },
  },
  {
    title: 'Servers and locations',
    guides: ['from-nginx'],
    pages: {
      core: 'The core of HTTP: servers, locations, and the life of a connection and a request.',
      http2: 'HTTP/2.',
      rewrite: 'Rules that change paths, set variables, and end requests.',
      'body-early-read': 'Bodies read before anything else happens.',
      'try-files': 'The first of several files or URIs.',
      'proxy-protocol': 'What the PROXY protocol in front of a connection has told.',
    },
  },
  {
    title: 'Applications',
    guides: ['python', 'node', 'from-gunicorn'],
    pages: {
      app: 'An application that the server runs itself, and its workers.',
      'app-pass': 'Requests for an application.',
      'app-trust': 'Whose word applications get for how a client came.',
      'app-status': 'What applications are doing, as JSON.',
    },
  },
  {
    title: 'Passing requests on',
    guides: ['proxy', 'cache', 'grpc'],
    pages: {
      proxy: 'Requests passed on to HTTP servers.',
      fastcgi: 'Requests passed on to FastCGI responders, such as PHP-FPM.',
      uwsgi: 'Requests passed on to uWSGI servers.',
      scgi: 'Requests passed on to SCGI servers.',
      grpc: 'Requests passed on to gRPC servers.',
      memcached: 'Answers out of memcached.',
      tunnel: 'Tunnels that clients open by `CONNECT`.',
      cache: 'Keeping upstreams’ responses.',
      slice: 'Big responses of upstreams, asked for in parts.',
      'early-hints': 'Hints that upstreams and applications send before their answer.',
      mirror: 'Copies of requests, for somebody else.',
    },
  },
  {
    title: 'Groups of servers',
    guides: ['load-balancing'],
    pages: {
      upstream: 'Groups of servers, and how one is chosen.',
      'health-check': 'Finding out whether servers are well.',
      api: 'Groups of servers, shown and changed while running.',
      resolver: 'Looking names up while running.',
    },
  },
  {
    title: 'Files',
    guides: ['files'],
    pages: {
      static: 'How files are found, opened and sent.',
      'index-module': 'The file that stands for a folder.',
      autoindex: 'Listings of folders.',
      'random-index': 'Any file of a folder.',
      'gzip-static': 'Files that lie compressed with gzip.',
      'brotli-static': 'Files that lie compressed with brotli.',
      'zstd-static': 'Files that lie compressed with zstd.',
      dav: 'Files that clients change.',
      'empty-gif': 'A transparent pixel.',
    },
  },
  {
    title: 'TLS',
    guides: ['tls'],
    pages: {
      ssl: 'TLS towards clients.',
      acme: 'Certificates that renew themselves.',
    },
  },
  {
    title: 'Who gets in, and how often',
    guides: ['limits'],
    pages: {
      access: 'Access by address.',
      'auth-basic': 'Access by name and password.',
      'auth-request': 'Access that another URI decides on.',
      satisfy: 'How several checks of access add up.',
      'secure-link': 'Links that cannot be made up.',
      referer: 'Links from elsewhere.',
      realip: 'The client’s address behind proxies.',
      'limit-req': 'How many requests in a time.',
      'limit-conn': 'How many requests at once.',
      'limit-rate': 'How fast responses leave.',
    },
  },
  {
    title: 'What depends on the request',
    pages: {
      map: 'Variables by the value of another.',
      geo: 'Variables by an address.',
      'split-clients': 'Variables that divide clients into parts.',
      browser: 'Modern and ancient browsers.',
    },
  },
  {
    title: 'Changing responses',
    guides: ['files'],
    pages: {
      headers: 'Fields of responses.',
      userid: 'A cookie that tells browsers apart.',
      gzip: 'Compression with gzip.',
      brotli: 'Compression with brotli.',
      zstd: 'Compression with zstd.',
      gunzip: 'Unpacking for clients that do not take gzip.',
      charset: 'Charsets.',
      ssi: 'Pages that include others.',
      'sub-filter': 'Replacing text.',
      addition: 'Text in front of bodies and behind them.',
    },
  },
  {
    title: 'Watching',
    guides: ['operate'],
    pages: {
      log: 'The access log.',
      'stub-status': 'Numbers of connections.',
      statsd: 'Metrics for StatsD.',
      'post-action': 'What is done when a response is out.',
    },
  },
  {
    title: 'TCP passed on',
    guides: ['stream'],
    pages: {
      stream: 'Servers that pass TCP connections on without looking into them.',
      'stream-proxy': 'Where connections of the stream block go.',
    },
  },
  {
    title: 'Mail passed on',
    guides: ['mail'],
    pages: {
      mail: 'Servers for IMAP, POP3 and SMTP clients.',
      'mail-auth-http': 'Who tells where a client’s mail is.',
      'mail-proxy': 'How clients are logged in there.',
      'mail-imap': 'What IMAP clients are offered.',
      'mail-pop3': 'What POP3 clients are offered.',
      'mail-smtp': 'What SMTP clients are offered.',
    },
  },
  {
    title: 'For the sake of existing files',
    pages: {
      later: 'What is accepted and does nothing, or nothing yet.',
    },
  },
]
