// What a PROXY protocol header in front of the connection told (`listen … proxy_protocol`), as variables.

import { asked, tlvNamed, type ProxyProtocol } from '../../codec/proxy-protocol.ts'
import { ERR } from '../../log/error-log.ts'
import { httpModule, type Variable } from '../module.ts'

function told(read: (header: ProxyProtocol) => string | null): Variable {
  return {
    get(r) {
      const header = r.stream.proxyProtocol
      return header === null ? null : read(header)
    },
  }
}

function portText(port: number): string {
  return port === 0 ? '' : `${port}`
}

export const proxyProtocol = httpModule({
  name: 'proxy-protocol',
  directives: {},
  variables: {
    proxy_protocol_addr: told(header => header.source),
    proxy_protocol_port: told(header => portText(header.sourcePort)),
    proxy_protocol_server_addr: told(header => header.destination),
    proxy_protocol_server_port: told(header => portText(header.destinationPort)),
  },
  prefixVariables: {
    proxy_protocol_tlv_: tlvVariable,
  },
})

function tlvVariable(name: string): Variable {
  const read = tlvNamed(name)
  return {
    get(r) {
      const header = r.stream.proxyProtocol
      if (header === null) return null
      const value = read(header.tlvs)
      if (asked.error !== '') r.log(ERR, asked.error)
      return value
    },
  }
}
