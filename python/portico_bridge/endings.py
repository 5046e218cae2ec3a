"""How a process ends: with what it still has to say, and with which status."""

import faulthandler
import os
import signal
import sys

# What Python has for taking itself apart, behind all that the application does at its exit. Libraries that have had threads before
# a fork may wait then for what is not there.
APART_SECONDS = 5

leaving = set()


def leave():
    """This process ends as an interpreter does, soon."""
    leaving.add(os.getpid())


def begin_the_end():
    """To be registered before all other functions with atexit, so that it is called as the last."""
    if os.getpid() not in leaving:
        return
    faulthandler.disable()  # what breaks now breaks nothing
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    signal.setitimer(signal.ITIMER_REAL, APART_SECONDS)


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
