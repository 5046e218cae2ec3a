// What depends on the request: variables made by tables (map, geo, split_clients, browser), rewriting, and where requests go
// besides (try_files, mirror, post_action).

import type { Texts, VariableTexts } from './prose.ts'

export const choices: Texts = {
  map: {
    args: 'TEXT $VARIABLE',
    text: 'Makes a variable whose value is found by another text, when it is asked for. Lines of a value and what the variable then is: a plain value (whatever its case), `~` or `~*` and a regular expression, or `default`. `hostnames` allows `*` at either end of values, `volatile` has it looked up each time.',
  },
  geo: {
    args: '[$ADDRESS] $VARIABLE',
    text: 'Makes a variable whose value is found by an address, the client’s unless another is named. Lines of a network (or with `ranges` first, of `FIRST-LAST`) and what the variable then is, or `default`; the narrowest network counts. `proxy NETWORK` names proxies whose `X-Forwarded-For` is believed, `proxy_recursive` follows them to the last that is not one of them, `delete NETWORK` takes an earlier line back.',
  },
  split_clients: {
    args: 'TEXT $VARIABLE',
    text: 'Makes a variable by which requests fall into parts of given sizes: lines of a share, `0.5%` or `*` for the rest, and what the variable then is. The same TEXT has the same part always.',
  },
  modern_browser: {
    args: ['BROWSER VERSION', 'unlisted'],
    text: 'Which browsers are modern: `opera`, `msie`, `gecko`, `safari` or `konqueror` from that version on; with `unlisted` those too that are neither named here nor ancient.',
  },
  ancient_browser: {
    args: 'TEXT …',
    text: 'Clients with one of these texts in their `User-Agent` are ancient; `netscape4` stands for Netscape up to version 4.',
  },
  modern_browser_value: { args: 'TEXT', text: 'What `$modern_browser` is for a modern browser.' },
  ancient_browser_value: { args: 'TEXT', text: 'What `$ancient_browser` is for an ancient browser.' },
  rewrite: {
    args: 'PATTERN REPLACEMENT [last | break | redirect | permanent]',
    text: 'Replaces the path where the regular expression fits; `$1` to `$9` are its groups, and the request’s arguments go on unless REPLACEMENT ends with `?`. `last` looks for a location anew, `break` stays and ends the rules; `redirect` (302), `permanent` (301), and a REPLACEMENT with a scheme, send the client there. An expression that takes too long is stopped, and logged.',
  },
  return: {
    args: ['CODE [TEXT]', 'CODE URL', 'URL'],
    text: 'Ends the request with that status, and the text or, for 301, 302, 303, 307 and 308, the URL; a URL alone is a 302. 444 closes the connection without an answer.',
  },
  set: {
    args: '$VARIABLE VALUE',
    text: 'Sets a variable, which need not have been declared. Names are the same whatever their case.',
  },
  break: {
    args: '',
    text: 'Ends the rules of this block; the location stays.',
  },
  if: {
    args: [
      '($VARIABLE)',
      '($VARIABLE = | != TEXT)',
      '($VARIABLE ~ | ~* | !~ | !~* PATTERN)',
      '(-f | -d | -e | -x | !-f | !-d | !-e | !-x PATH)',
    ],
    text: 'Rules, and in a location settings as well, for requests for which the condition holds: a variable is neither empty nor `0`, equals a text, fits a regular expression; a file, a folder, either of them, or something executable is there. In a location the last block whose condition holds is in force.',
  },
  rewrite_log: { text: 'Logs what rules do, at level `notice`.' },
  uninitialized_variable_warn: { text: 'Logs the use of variables that nothing has set.' },
  try_files: {
    args: 'PATH … URI | @NAME | =CODE',
    text: 'Serves the first of the files (or folders, with a final `/`) that is there below `root` or `alias`; if none is, goes to the last word: another URI, a named location, or a status.',
  },
  mirror: {
    args: 'URI | off',
    standard: 'off',
    text: 'Sends a copy of each request to that URI of this server, and drops what is answered. Neither the client nor its next request waits for it.',
  },
  mirror_request_body: {
    text: 'On, the request’s body is read whole before, and copied too; a body cannot be streamed then.',
  },
  post_action: {
    args: 'URI | @NAME | off',
    standard: 'off',
    text: 'A URI or named location of this server that is asked when a response is out; what it answers nobody sees. `$status`, `$body_bytes_sent` and `$request_completion` are those of the request it is about.',
  },
}

export const choiceVariables: VariableTexts = {
  modern_browser: 'The `modern_browser_value` if the browser is modern, else empty.',
  ancient_browser: 'The `ancient_browser_value` if the browser is not modern, else empty.',
  msie: '`1` if the client calls itself Internet Explorer.',
}
