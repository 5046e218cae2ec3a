"""Signal handlers that the application, or a hook, installs for itself: where they are kept while our own are in their place.

Gunicorn's workers take their signals before they load the application, which may then replace the handlers: a dump of stacks
at SIGUSR1 works, one that cleans up at SIGTERM leaves a worker that does not end. Here the former stay, and the latter are called
when the worker has served what it had begun.
"""

import signal
import sys

# What ends a worker.
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
# What an application may have for itself. Gunicorn's workers do nothing at them, or write to new log files.
FREE = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)


def handler_of(number):
    """One that was written in Python, or None."""
    handler = signal.getsignal(number)
    return handler if callable(handler) and handler is not signal.default_int_handler else None


def handled_in_c():
    """By faulthandler.register(), say: signals that Python does not know to be handled, and could not bring the handler back."""
    try:
        with open('/proc/self/status', encoding='ascii', errors='replace') as file:
            caught = next((line for line in file if line.startswith('SigCgt:')), 'SigCgt: 0')
    except OSError:
        return []  # not Linux
    mask = int(caught.split()[1], 16)
    return [number for number in FREE if mask >> (number - 1) & 1 and handler_of(number) is None]


class OwnHandlers:
    def __init__(self):
        self.handlers = {}
        self.in_c = set()

    def note(self):
        """To be called when the application may have installed some, and before ours take their places."""
        for number in (*ENDS, *FREE):
            handler = handler_of(number)
            if handler is not None:
                self.handlers[number] = handler
        self.in_c.update(handled_in_c())

    def put_back(self, number, otherwise):
        """What the application wants at a signal that is free for it to have."""
        if number not in self.in_c:
            signal.signal(number, self.handlers.get(number, otherwise))

    def end(self, number):
        """What the application wants to do at a signal that ends this process. That it ends with it is nothing new."""
        handler = self.handlers.pop(number, None)
        if handler is None:
            return
        try:
            handler(number, sys._getframe())
        except SystemExit:
            pass
        except BaseException:
            sys.excepthook(*sys.exc_info())
