// auth_basic: name and password in each request (RFC 7617), looked up in a file (ngx_http_auth_basic_module).

import { HTTP, LIMIT_EXCEPT, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { one, template } from '../../config/values.ts'
import { errorText } from '../../lib/errno.ts'
import { CRIT, ERR, INFO } from '../../log/error-log.ts'
import { absoluteValue } from '../files/document-root.ts'
import { addAccessCheck, ALLOWED, settleAccess, type AccessPolicy } from '../access/access-phase.ts'
import { httpModule, NEXT, WAIT, type Value } from '../module.ts'
import { basicCredentials, isProxyRequest } from '../access/basic-credentials.ts'
import { readUsers, type Users } from '../access/password-file.ts'
import { Passwords, PENDING, RIGHT, UNAVAILABLE, WRONG } from '../access/passwords.ts'
import { resume } from '../phases.ts'
import type { HttpRequest } from '../request.ts'
import { RegistryKey } from '../setup.ts'
import { fieldValue } from '../field-value.ts'

const contexts = HTTP | SERVER | LOCATION | LIMIT_EXCEPT

interface UserFile {
  readonly name: Template
  /** The configuration's. */
  readonly folder: string
}

/** Relative to the configuration's folder; where a variable comes first, what it brings is. */
const userFile: Directive<UserFile | null> = one<UserFile | null>(contexts, null, (word, at) => ({
  name: Template.parse(word.startsWith('$') ? word : at.confPath(word), at),
  folder: at.confPath(''),
}))

const directives = {
  auth_basic: template(contexts, null),
  auth_basic_user_file: userFile,
}

/** One for the http block. */
const verifier = new RegistryKey<Passwords>('password verifier')

export const authBasic = httpModule({
  name: 'auth-basic',
  directives,
  setup(_conf, http) {
    const passwords = new Passwords()
    http.registry(verifier).set('', passwords)
    http.onStop(() => passwords.stop())
  },
  compile(conf, at, http) {
    const { auth_basic, auth_basic_user_file } = conf
    if (auth_basic === null || auth_basic_user_file === null || auth_basic.constant === 'off') return
    const own: AuthBasic = {
      realm: at.value(auth_basic),
      file: absoluteValue(at.value(auth_basic_user_file.name), auth_basic_user_file.folder),
      passwords: http.registry(verifier).get('')!,
      policy: null,
    }
    own.policy = addAccessCheck(at, checkUser, own, describeFile)
  },
})

interface AuthBasic {
  readonly realm: Value
  readonly file: Value
  readonly passwords: Passwords
  policy: AccessPolicy | null
}

function checkUser(r: HttpRequest, conf: AuthBasic): number {
  const realm = conf.realm.get(r)
  if (realm === 'off') return NEXT
  const credentials = basicCredentials(r)
  if (credentials === null) {
    r.log(INFO, 'no user/password was provided for basic authentication')
    return challenge(r, realm)
  }
  const colon = credentials.indexOf(':')
  const user = credentials.slice(0, colon)
  const file = conf.file.get(r)
  const users = open(r, file)
  if (typeof users === 'number') return users
  const stored = users.get(user)
  if (stored === undefined) {
    r.log(ERR, `user "${user}" was not found in "${file}"`)
    return challenge(r, realm)
  }
  const waiter = (late: number): void => {
    if (!r.done) resume(r, settleAccess(r, conf.policy!, judge(r, late, user, realm)))
  }
  const outcome = conf.passwords.check(credentials.slice(colon + 1), stored, waiter)
  return outcome === PENDING ? WAIT : judge(r, outcome, user, realm)
}

/** The users, or the status if there are none to be had. */
function open(r: HttpRequest, file: string): Users | number {
  try {
    return readUsers(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const call = code === 'EISDIR' ? 'pread' : 'open'
    r.log(code === 'ENOENT' ? ERR : CRIT, `${call}() "${file}" failed (${errorText(error as NodeJS.ErrnoException)})`)
    return code === 'ENOENT' ? 403 : 500
  }
}

/** For `portico explain`: a file that cannot be read is told of by nothing else before there are requests. */
function describeFile(r: HttpRequest, conf: AuthBasic): string[] {
  if (conf.realm.get(r) === 'off') return []
  const file = conf.file.get(r)
  try {
    const users = readUsers(file).size
    return users > 0 ? [] : [`nobody is let in: there are no users in "${file}"`]
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = errorText(error as NodeJS.ErrnoException)
    return [`who gives a password gets ${code === 'ENOENT' ? 403 : 500}: "${file}" cannot be read (${why})`]
  }
}

function judge(r: HttpRequest, outcome: number, user: string, realm: string): number {
  if (outcome === RIGHT) return ALLOWED
  if (outcome === WRONG) {
    r.log(ERR, `user "${user}": password mismatch`)
    return challenge(r, realm)
  }
  if (outcome === UNAVAILABLE) {
    r.log(ERR, `password of user "${user}" could not be checked: too many are waiting`)
    return 503
  }
  r.log(CRIT, `password of user "${user}" is hashed in an unsupported way`)
  return 500
}

function challenge(r: HttpRequest, realm: string): number {
  const asksAsProxy = isProxyRequest(r)
  r.addHeader(asksAsProxy ? 'Proxy-Authenticate' : 'WWW-Authenticate', `Basic realm="${fieldValue(realm)}"`)
  return asksAsProxy ? 407 : 401
}
