"""SIGABRT: the stacks of all threads go to standard error, so that it can be seen where the process hangs, then it ends."""

import faulthandler
import os
import signal
import sys


def show_at_abort(waits):
    """`waits`: the main thread does nothing but wait for others, so that functions of Python are called at once.

    Without the interpreter's lock the handler in C writes the stack of one thread, which is that one; a function can have all of
    them stand still first.
    """
    faulthandler.enable(2)
    if not waits or getattr(sys, '_is_gil_enabled', has_lock)():
        return
    former = signal.getsignal(signal.SIGABRT)

    def show(number, frame):
        os.write(2, b'Fatal Python error: Aborted\n\n')
        faulthandler.dump_traceback(2)
        if callable(former):
            former(number, frame)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGABRT, show)


def has_lock():
    return True
