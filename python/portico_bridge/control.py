"""The control conversation (docs/bridge.md) as a process of ours speaks it with the master: lines of JSON."""

import json
import os
import sys

CONTROL = 3
LIFE = 4


class Stop(Exception):
    """The control socket or the life pipe has ended: nobody is left to serve for."""


class Control:
    """Lines of JSON on the control socket."""

    def __init__(self):
        self.pending = b''
        self.early = []  # commands that came with the settings

    def first_line(self):
        while True:
            lines = self.lines()
            if lines:
                self.early = lines[1:]
                return lines[0]

    def lines(self):
        """Commands that have arrived whole, after one read; the rest waits for more."""
        data = os.read(CONTROL, 65536)
        if not data:
            raise Stop
        *lines, self.pending = (self.pending + data).split(b'\n')
        return [json.loads(line) for line in lines if line]

    def send(self, event):
        data = json.dumps(event).encode() + b'\n'
        try:
            while data:
                data = data[os.write(CONTROL, data) :]
        except OSError:
            raise Stop from None

    def warn(self, message):
        self.send({'event': 'log', 'level': 'warn', 'message': message})

    def halt(self, hook, error):
        """A hook has called sys.exit(): that is the end of the whole server, as it is of Gunicorn."""
        code = error.code if error.code is not None else 0
        if not isinstance(code, int):
            print(code, file=sys.stderr, flush=True)
            code = 1
        self.send({'event': 'halt', 'code': code & 255, 'reason': '%s has ended the server with exit code %d' % (hook, code)})
