"""A worker for tasks: the process that has the applications, forked by the arbiter.

Each of its threads has a lane of its own, a socket on which it gets a task, answers it, and gets the next. With one thread
that is the main one. The kernel kills the process when the arbiter is gone, by the life pipe, as ../worker.py has it.
"""

import gc
import importlib
import json
import os
import signal
import socket
import threading
import traceback

from ..endings import flush
from ..stacks import show_at_abort
from ..worker import die_with, do_nothing
from .api.errors import TEXT_MAX
from .thread import Thread
from .words import in_line, text_of

# Gunicorn's number for a worker that could not begin.
BOOT_ERROR = 3

NEEDED = ('init', '__call__', 'close')


class BootError(Exception):
    """`str()` is one line; the cause has the traceback."""


class Worker:
    """`hooked`: what a configuration file's hooks are given for it, or None."""

    def __init__(self, app_paths, curious, lanes, report, life, hooked):
        self.app_paths = app_paths
        self.curious = curious  # of these the arbiter wants to know how many workers may have them
        self.lanes = lanes
        self.report = report
        self.report_lock = threading.Lock()
        self.life = life
        self.hooked = hooked
        self.apps = {}

    def run(self):
        """Does not return."""
        die_with(self.life)
        gc.enable()
        self._take_signals()
        try:
            if self.hooked is not None:
                self.hooked.forked()
            self._load()
            if self.hooked is not None:
                self.hooked.loaded(self.apps)
        except BaseException as error:
            self._fail(error)
        self.tell({'booted': True})
        if self.hooked is not None and self.hooked.hooks.reload:
            self._watch()
        self._serve()
        for path, app in self.apps.items():
            try:
                app.close()
            except Exception:
                self.complain('closing %s failed\n%s' % (path, traceback.format_exc()))
        flush()
        os._exit(0)

    # The beginning

    def _load(self):
        importlib.invalidate_caches()  # the arbiter may have looked before files were changed
        classes = {path: load_class(path) for path in self.app_paths}
        limits = {path: limit_of(path, classes[path]) for path in self.curious}
        stashes = [name for one in classes.values() for name in names_of(getattr(one, 'stashes', ()))]
        self.tell({'limits': limits, 'stashes': stashes})
        for path, kind in classes.items():
            self.apps[path] = made(path, kind)
        for path, app in self.apps.items():
            try:
                app.init()
            except Exception as error:
                raise BootError('%s: init() failed: %s' % (path, in_line(error))) from error

    def _fail(self, error):
        cause = error.__cause__ if isinstance(error, BootError) else error
        line = str(error) if isinstance(error, BootError) else in_line(error)
        details = '' if cause is None else text_of(cause)
        self.tell({'error': line[:TEXT_MAX], 'traceback': details})
        flush()
        os._exit(BOOT_ERROR)

    def _take_signals(self):
        show_at_abort(len(self.lanes) > 1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._on_leave)
        # A handler that does nothing, not SIG_IGN, which the programs an application starts would inherit.
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, do_nothing)

    def _on_leave(self, _number, _frame):
        """What has come whole is done first: an ended socket is read to its end."""
        if self.hooked is not None:
            self.hooked.worker.alive = False
        for lane in self.lanes:
            try:
                lane.shutdown(socket.SHUT_RD)
            except OSError:
                pass

    def _watch(self):
        from ..reloader import Reloader

        Reloader((), lambda path: self.tell({'changed': path})).start()

    # What the arbiter is told beside answers

    def tell(self, value):
        data = json.dumps(value).encode() + b'\n'
        with self.report_lock:
            while data:
                data = data[os.write(self.report, data) :]

    def complain(self, message):
        log = None if self.hooked is None else self.hooked.own_log()
        if log is not None:
            log.error('%s', message)
        else:
            self.tell({'log': message[-TEXT_MAX:]})

    # Tasks

    def _serve(self):
        if len(self.lanes) == 1:
            Thread(self, self.lanes[0]).run()
            return
        threads = [
            threading.Thread(target=Thread(self, lane).run, name='dirty-worker-%d-%d' % (os.getpid(), index))
            for index, lane in enumerate(self.lanes)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def load_class(path):
    module, _, name = path.partition(':')
    try:
        found = importlib.import_module(module)
    except BaseException as error:
        raise BootError('cannot load "%s": importing it failed: %s' % (path, in_line(error))) from error
    kind = getattr(found, name, None)
    if kind is None:
        raise BootError('cannot load "%s": there is no "%s" in %s' % (path, name, getattr(found, '__file__', module)))
    if not isinstance(kind, type):
        raise BootError('cannot load "%s": it is not a class' % path)
    return kind


def made(path, kind):
    try:
        app = kind()
    except Exception as error:
        raise BootError('cannot load "%s": making it failed: %s' % (path, in_line(error))) from error
    missing = [name for name in NEEDED if not callable(getattr(app, name, None))]
    if missing:
        raise BootError('cannot load "%s": it has no %s()' % (path, missing[0]))
    return app


def limit_of(path, kind):
    limit = getattr(kind, 'workers', None)
    if limit is None or (type(limit) is int and limit > 0):
        return limit
    raise BootError('cannot load "%s": its "workers" must be a number from 1, or None, not %.100r' % (path, limit))


def names_of(value):
    return [name for name in value if isinstance(name, str)] if isinstance(value, (list, tuple, set)) else []
