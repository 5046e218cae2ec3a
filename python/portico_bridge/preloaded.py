"""What an application leaves behind in the zygote when it is imported there: processes of its own, such as those of a
multiprocessing.Manager, and functions that are to be called at the end. And what it takes away.
"""

import atexit
import os
import signal
import sys

from .endings import flush

# Status of a process whose descriptors the application has closed; src/app/pool/zygote.ts knows it too.
LOST = 113
# What these functions may take, all together.
EXIT_SECONDS = 2
LOST_THREADS = (
    'the application was preloaded, and workers do not have the threads of its libraries, %d: what waits for one of them hangs.'
    ' If the stack of the worker ends in such a library, do without ("preload off", no --preload)'
)

held = []


def hold(*descriptors):
    """Nobody forked from this process is to have them: the master waits for their end, and would wait for ever."""
    if not held:
        os.register_at_fork(after_in_child=let_go)
    held.extend(descriptors)


class Held:
    """Descriptors that are to be there still when an application has been imported. Some close all they find, as daemons do."""

    def __init__(self, *descriptors):
        self.files = {fd: file_of(fd) for fd in descriptors}

    def check(self):
        """Ends the process where one is lost: there is no way left to say why but its status."""
        if any(file_of(fd) != file for fd, file in self.files.items()):
            flush()
            os._exit(LOST)


def file_of(fd):
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def let_go():
    for fd in held:
        try:
            os.close(fd)
        except OSError:
            pass  # the application has closed what was not its own
    held.clear()


def lost_threads():
    """What there is to say of threads here that Python has not started, OpenMP's say: workers lack them. '' where there are none."""
    threading = sys.modules.get('threading')
    try:
        number = len(os.listdir('/proc/self/task')) - (1 if threading is None else threading.active_count())
    except OSError:
        return ''  # not Linux
    return LOST_THREADS % number if number > 0 else ''


def run_exit_functions():
    """As an interpreter does at its end, but not for long; without them a Manager's process would stay."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    signal.setitimer(signal.ITIMER_REAL, EXIT_SECONDS)
    try:
        atexit._run_exitfuncs()
    except BaseException:
        pass  # 3.9 throws what the last one has thrown, and has shown it
