// What a mail proxy has behind it, made for one test: who knows the users and tells where their mail is, and servers that a
// client is logged in at. Both do what their script says and remember what they were told.

import { once } from 'node:events'
import net from 'node:net'
import { raw, serve, type RawClient, type Scope, type Server, type ServeOptions } from '../helpers/index.ts'
import { atEnd } from '../helpers/scope.ts'

export type Fields = ReadonlyMap<string, string>

async function listening(t: Scope, onConnection: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as net.AddressInfo).port
}

export interface AuthServer {
  readonly port: number
  /** The fields of each request, and as '' its first line. */
  readonly requests: Fields[]
  /** The whole answer; null: none yet, the socket is the script's. */
  script: (fields: Fields, socket: net.Socket) => string | null
}

export async function authServer(t: Scope, script: AuthServer['script']): Promise<AuthServer> {
  const requests: Fields[] = []
  const port = await listening(t, socket => {
    let head = ''
    socket.on('data', bytes => {
      head += bytes.toString('latin1')
      if (!head.endsWith('\r\n\r\n')) return
      const fields = fieldsOf(head)
      requests.push(fields)
      const answer = server.script(fields, socket)
      if (answer !== null) socket.end(answer, 'latin1')
    })
  })
  const server: AuthServer = { port, requests, script }
  return server
}

function fieldsOf(head: string): Fields {
  const [first, ...lines] = head.trimEnd().split('\r\n')
  return new Map([['', first!], ...lines.map(line => line.split(/: ?(.*)/s, 2) as [string, string])])
}

export function answer(...fields: readonly string[]): string {
  return ['HTTP/1.0 200 OK', ...fields, '', ''].join('\r\n')
}

/** The client may go on, to the server at `port`. */
export function welcome(port: number, ...more: readonly string[]): string {
  return answer('Auth-Status: OK', 'Auth-Server: 127.0.0.1', `Auth-Port: ${port}`, ...more)
}

export interface Store {
  readonly port: number
  /** What each connection has said. */
  readonly said: string[]
  /** Connections at present. */
  readonly sockets: Set<net.Socket>
  greeting: string
  /** Answers a line. */
  script: (line: string, socket: net.Socket) => string
}

export async function store(t: Scope, greeting: string, script: Store['script']): Promise<Store> {
  const said: string[] = []
  const sockets = new Set<net.Socket>()
  const port = await listening(t, socket => {
    const mine = said.push('') - 1
    let rest = ''
    sockets.add(socket)
    socket.write(server.greeting, 'latin1')
    socket.on('close', () => sockets.delete(socket))
    socket.on('end', () => socket.end())
    socket.on('data', bytes => {
      said[mine] += bytes.toString('latin1')
      const lines = (rest + bytes.toString('latin1')).split('\r\n')
      rest = lines.pop()!
      for (const line of lines) socket.write(server.script(line, socket), 'latin1')
    })
  })
  const server: Store = { port, said, sockets, greeting, script }
  return server
}

/** IMAP: a name and a password, each asked for, and commands that are answered. */
export function imapStore(t: Scope): Promise<Store> {
  const logins = new WeakMap<net.Socket, { readonly tag: string; asked: number }>()
  return store(t, '* OK ready\r\n', (line, socket) => {
    const login = logins.get(socket)
    if (login !== undefined && login.asked < 2) {
      login.asked++
      return login.asked === 1 ? '+ go on\r\n' : `${login.tag} OK welcome\r\n`
    }
    const [tag = '', name = ''] = line.split(' ')
    if (name === 'LOGIN') {
      logins.set(socket, { tag, asked: 0 })
      return '+ go on\r\n'
    }
    return `${name === 'LOGOUT' ? '* BYE\r\n' : ''}${tag} OK ${name}\r\n`
  })
}

export function pop3Store(t: Scope): Promise<Store> {
  return store(t, '+OK ready\r\n', line => (line === 'STAT' ? '+OK 2 320\r\n' : `+OK ${line.split(' ')[0]}\r\n`))
}

export function smtpStore(t: Scope): Promise<Store> {
  return store(t, '220 ready\r\n', line => {
    if (line.startsWith('AUTH')) return '235 yes\r\n'
    if (line === 'DATA') return '354 go on\r\n'
    if (line === 'QUIT') return '221 bye\r\n'
    return line.startsWith('EHLO') ? '250-store\r\n250 8BITMIME\r\n' : '250 ok\r\n'
  })
}

export interface MailProxy extends Server {
  /** A client of the server whose place in the configuration is `at`, once it has been greeted (or connected, if `greeting` is ''). */
  client(at?: number, greeting?: string): Promise<RawClient>
}

/** A `mail` block with these servers, each of which listens on its own port unless it says where. */
export async function serveMail(
  t: Scope,
  auth: AuthServer,
  servers: readonly string[],
  options: Partial<ServeOptions> = {},
): Promise<MailProxy> {
  const blocks = servers.map((text, i) => {
    const listen = /\blisten /.test(text) ? '' : `listen 127.0.0.1:%%PORT_${i}%%;`
    return `server {\n${listen} ${text.replaceAll('%%PORT%%', `%%PORT_${i}%%`)} }`
  })
  const conf = `mail {\nserver_name mail.example;\nauth_http 127.0.0.1:${auth.port}/auth;\n${blocks.join('\n')}\n}`
  const server = await serve(t, { ...options, conf: `${conf}\n${options.conf ?? ''}` })
  const client = async (at = 0, greeting = '\r\n'): Promise<RawClient> => {
    const one = await raw(t, server.ports[at]!)
    if (greeting !== '') await one.until(greeting)
    return one
  }
  return Object.assign(server, { client })
}

export function base64(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64')
}

/** Says it, and waits for what ends like this. */
export async function say(client: RawClient, text: string, end = '\r\n'): Promise<string> {
  await client.send(text)
  return client.until(end)
}
