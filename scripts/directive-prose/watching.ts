// What is written down and shown of what goes on.

import type { Texts, VariableTexts } from './prose.ts'

export const watching: Texts = {
  access_log: {
    args: [
      'PATH [FORMAT [buffer=SIZE] [gzip[=LEVEL]] [flush=TIME] [if=TEXT]]',
      'syslog:PARAMETERS [FORMAT [if=TEXT]]',
      'off',
    ],
    standard: '=`access_log logs/access.log combined;` in http, none in stream',
    text: 'Where a line is written for each request. `buffer`: so much is collected before it is written, and no longer than `flush`; `gzip` compresses that. `if`: only where the text is neither empty nor `0`. A path may have variables if there is no buffer; syslog’s parameters are those of `error_log`, and `severity` (`info`). Lines of an inner block replace those outside.',
  },
  log_format: {
    args: 'NAME [escape=default | json | none] TEXT …',
    standard:
      'combined \'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"\'',
    text: 'What a line says: texts with variables, put together as they are. `escape` says how characters are written that would break it: as `\\x22`, as JSON has them, or not at all.',
  },
  open_log_file_cache: {
    args: ['max=NUMBER [inactive=TIME] [min_uses=NUMBER] [valid=TIME]', 'off'],
    standard: 'off',
    text: 'Keeps logs open whose paths have variables: so many, those used `min_uses` times (1), until they have not been used for `inactive` (10 s). After each `valid` (60 s) it is looked whether the file is still there.',
  },
  stub_status: {
    args: '',
    standard: null,
    text: 'A page of text with the numbers of connections and requests of all threads.',
  },
}

export const watchingVariables: VariableTexts = {
  body_bytes_sent: 'Bytes of the body that were sent to the client.',
  bytes_sent: 'Bytes that were sent to the client, in all.',
  connection: 'The number of the connection.',
  connection_requests: 'How many requests the connection has had, with this one.',
  msec: 'The time in seconds since 1970, with milliseconds.',
  pipe: '`p` if the request came before the answer to the one before it, else `.`.',
  request_length: 'Bytes of the request: its line, its fields and its body.',
  request_time: 'Seconds since the request began, with milliseconds.',
  status: 'The response’s status.',
  time_iso8601: 'The local time as `2026-01-31T12:00:00+01:00`.',
  time_local: 'The local time as `31/Jan/2026:12:00:00 +0100`.',
  connections_active: 'How many connections clients have, in all threads.',
  connections_reading: 'Connections whose request is being read.',
  connections_writing: 'Connections that have a request.',
  connections_waiting: 'Connections that wait for their next request.',
}
