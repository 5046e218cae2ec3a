"""How workers are scheduled beside the front."""

import os
import resource

# What the kernel does with a system call that a filter (seccomp) does not want is not told; `allowed` is what came of trying.
allowed = True


def probe():
    """Finds out whether the scheduling policy may be asked for. Units of systemd with `SystemCallFilter=~@resources` have whoever does
    killed: a process that is made for it, and none of the workers."""
    global allowed
    if not is_filtered():
        return
    pid = os.fork()
    if pid == 0:
        leave_no_core()
        give_way()
        os._exit(0)
    allowed = os.WIFEXITED(os.waitpid(pid, 0)[1])


def leave_no_core():
    """One byte: what cores are piped to is not called then either (core(5))."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except (OSError, ValueError):
        pass


def is_filtered():
    try:
        with open('/proc/self/status', encoding='ascii', errors='replace') as file:
            return any(line.split() == ['Seccomp:', '2'] for line in file)
    except OSError:
        return False  # nothing can be told: as for everybody else


def give_way():
    """Lets the front finish what it is at when it wakes this thread: on few processors a worker would interrupt it for each
    request it sends, and both would pay for that. Whatever the application starts is scheduled as usual."""
    if not allowed:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    except (AttributeError, OSError):
        pass  # not Linux, or not allowed here
