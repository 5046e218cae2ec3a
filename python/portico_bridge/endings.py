"""How a process ends: with what it still has to say, and with which status."""

import sys


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # closed or replaced by the application
            pass


def status_of(error):
    """Of a process that ends with it, as an interpreter does."""
    code = error.code if isinstance(error, SystemExit) else 1
    return code & 255 if isinstance(code, int) else int(code is not None)
