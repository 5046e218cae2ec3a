"""Portico's Python side: loads an application, forks workers for it and speaks WSGI with it.

Read docs/bridge.md first. `zygote` is the process the master starts, `worker` what it forks, `seat` a worker's conversation with
the front, `wsgi` one request, `frames` the bytes. Standard library only, and little of it: what is imported here is in
every worker, and is waited for at every start.
"""

VERSION = '0.1.0'
