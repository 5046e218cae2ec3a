// `syslog:server=…,facility=…,severity=…,tag=…,nohostname`: where access_log and error_log may send their lines
// (ngx_syslog_parse_args).

import type { ServerPlace } from '../log/datagram-server.ts'
import type { SyslogServer } from '../log/syslog.ts'
import type { Site } from './directive.ts'

const FACILITIES =
  'kern user mail daemon auth intern lpr news uucp clock authpriv ftp ntp audit alert cron ' +
  'local0 local1 local2 local3 local4 local5 local6 local7'
const facilities = FACILITIES.split(' ')
const severities = ['emerg', 'alert', 'crit', 'error', 'warn', 'notice', 'info', 'debug']

const LOCAL7 = 23
const INFO = 6
const PORT = 514
const TAG_MAX = 32

/** The whole word, with its `syslog:`. */
export function parseSyslog(word: string, at: Site): SyslogServer {
  const given = new Map<string, string>()
  let hostname = true
  for (const parameter of word.slice('syslog:'.length).split(',')) {
    const [, name, value] = /^(server|facility|severity|tag)=(.*)$/s.exec(parameter) ?? []
    if (name === undefined) {
      if (parameter !== 'nohostname') at.fail(`unknown syslog parameter "${parameter}"`)
      hostname = false
      continue
    }
    if (given.has(name)) at.fail(`duplicate syslog "${name}"`)
    given.set(name, value!)
  }
  const server = given.get('server') ?? at.fail('no syslog server specified')
  return {
    ...parseServer(server, at),
    facility: indexIn(facilities, 'facility', given, LOCAL7, at),
    severity: indexIn(severities, 'severity', given, INFO, at),
    tag: parseTag(given.get('tag') ?? 'nginx', at),
    hostname,
  }
}

function indexIn(
  names: readonly string[],
  kind: string,
  given: ReadonlyMap<string, string>,
  fallback: number,
  at: Site,
): number {
  const name = given.get(kind)
  if (name === undefined) return fallback
  const index = names.indexOf(name)
  return index >= 0 ? index : at.fail(`unknown syslog ${kind} "${name}"`)
}

/** RFC 3164 section 4.1.3. */
function parseTag(tag: string, at: Site): string {
  if (tag.length > TAG_MAX) at.fail('syslog tag length exceeds 32')
  if (!/^[0-9A-Za-z_]*$/.test(tag)) at.fail('syslog "tag" only allows alphanumeric characters and underscore')
  return tag
}

function parseServer(text: string, at: Site): ServerPlace {
  if (text.startsWith('unix:')) {
    const path = text.slice(5)
    if (path === '') at.fail(`no path in the unix domain socket in syslog server "${text}"`)
    return { host: '', port: 0, path }
  }
  const [, v6, name, digits] = /^(?:\[([^\]]+)\]|([^:[\]/]+))(?::([0-9]+))?$/.exec(text) ?? []
  const host = v6 ?? name
  if (host === undefined) return at.fail(`no host in syslog server "${text}"`)
  const port = digits === undefined ? PORT : Number(digits)
  if (port < 1 || port > 65535) at.fail(`invalid port in syslog server "${text}"`)
  return { host, port, path: '' }
}
