"""The loggers `gunicorn.error` and `gunicorn.access`, as applications and hooks know them: the first writes where the errorlog is,
in Gunicorn's format. Requests are logged by the front; only where a logger class or a configuration of Python's logging is
to have them do they pass through here, at that request's cost.
"""

import logging
import os
import sys
import threading
import time
import traceback

ERROR_FORMAT = '%(asctime)s [%(process)d] [%(levelname)s] %(message)s'
DATE_FORMAT = '[%Y-%m-%d %H:%M:%S %z]'
SYSLOG_FORMAT = '[%(process)d] %(message)s'

CONFIG_DEFAULTS = {
    'version': 1,
    'disable_existing_loggers': False,
    'root': {'level': 'INFO', 'handlers': ['console']},
    'loggers': {
        name: {'level': 'INFO', 'handlers': [handler], 'propagate': True, 'qualname': name}
        for name, handler in (('gunicorn.error', 'error_console'), ('gunicorn.access', 'console'))
    },
    'handlers': {
        name: {'class': 'logging.StreamHandler', 'formatter': 'generic', 'stream': stream}
        for name, stream in (('console', 'ext://sys.stdout'), ('error_console', 'ext://sys.stderr'))
    },
    'formatters': {'generic': {'format': ERROR_FORMAT, 'datefmt': DATE_FORMAT, 'class': 'logging.Formatter'}},
}


class SafeAtoms(dict):
    """Atoms of the access log's format: unknown ones are "-", and nothing closes a quote."""

    def __init__(self, atoms):
        super().__init__(
            (name, value.replace('"', '\\"') if isinstance(value, str) else value) for name, value in atoms.items()
        )

    def __getitem__(self, name):
        return self.get(name.lower() if name.startswith('{') else name, '-')


class ReopenedFile(logging.FileHandler):
    """Follows its name: after a rotation the next line goes to the new file."""

    def emit(self, record):
        try:
            self._follow()
        except OSError:
            self.handleError(record)
        else:
            super().emit(record)

    def _follow(self):
        try:
            found = os.stat(self.baseFilename)
            if self.stream is None or found.st_ino != os.fstat(self.stream.fileno()).st_ino:
                self._renew()
        except FileNotFoundError:
            self._renew()

    def _renew(self):
        former, self.stream = self.stream, None
        if former is not None:
            former.close()
        self.stream = self._open()


class Logger:
    LOG_LEVELS = {
        'critical': logging.CRITICAL,
        'error': logging.ERROR,
        'warning': logging.WARNING,
        'info': logging.INFO,
        'debug': logging.DEBUG,
    }
    loglevel = logging.INFO
    error_fmt = ERROR_FORMAT
    datefmt = DATE_FORMAT
    access_fmt = '%(message)s'
    syslog_fmt = SYSLOG_FORMAT
    atoms_wrapper_class = SafeAtoms

    def __init__(self, cfg):
        self.error_log = logging.getLogger('gunicorn.error')
        self.access_log = logging.getLogger('gunicorn.access')
        self.error_log.propagate = self.access_log.propagate = False
        self.error_handlers = []
        self.access_handlers = []
        self.logfile = None
        self.lock = threading.Lock()
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg):
        self.cfg = cfg
        self.loglevel = self.LOG_LEVELS.get((cfg.loglevel or 'info').lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        self._set_handler(self.error_log, cfg.errorlog, logging.Formatter(self.error_fmt, self.datefmt))
        if cfg.accesslog is not None:
            # Where the front logs the requests, the application may still have lines of its own.
            own = cfg.accesslog == '-' or cfg.access_in_python
            log = cfg.accesslog if own else ReopenedFile(cfg.accesslog, delay=True)
            self._set_handler(self.access_log, log, logging.Formatter(self.access_fmt), sys.stdout)
        if cfg.syslog:
            self._set_syslog_handler(self.error_log, cfg, self.syslog_fmt, 'error')
            if cfg.access_in_python and not cfg.disable_redirect_access_to_syslog:
                self._set_syslog_handler(self.access_log, cfg, self.syslog_fmt, 'access')
        self._configure(cfg)

    def _configure(self, cfg):
        """Python's own configuration, from a dict, a JSON file or an ini file; the first that is given."""
        given = cfg.logconfig_dict
        if not given and cfg.logconfig_json:
            import json

            with open(cfg.logconfig_json, encoding='utf-8') as file:
                given = json.load(file)
        if given:
            from logging.config import dictConfig

            # Gunicorn forgets the handlers that its own defaults name when a dict brings some of its own.
            merged = {part: {**CONFIG_DEFAULTS[part], **given.get(part, {})} for part in ('handlers', 'formatters')}
            dictConfig({**CONFIG_DEFAULTS, **given, **merged})
        elif cfg.logconfig:
            from logging.config import fileConfig

            if not os.path.exists(cfg.logconfig):
                raise RuntimeError("log config '%s' not found" % cfg.logconfig)
            # The reader takes text alone, and needs no more of the defaults than these.
            places = {'__file__': cfg.logconfig, 'here': os.path.dirname(cfg.logconfig)}
            fileConfig(cfg.logconfig, defaults=places, disable_existing_loggers=False)

    # Names and parameters of these are Gunicorn's: loggers that are derived from its own call and replace them.

    def _get_gunicorn_handler(self, log):
        return next((one for one in log.handlers if getattr(one, '_gunicorn', False)), None)

    def _set_handler(self, log, output, fmt, stream=None):
        for handler in [one for one in log.handlers if getattr(one, '_gunicorn', False)]:
            log.removeHandler(handler)
        if output is None:
            return
        if isinstance(output, logging.Handler):
            handler = output
        else:
            handler = logging.StreamHandler(stream) if output == '-' else ReopenedFile(output)
        handler.setFormatter(fmt)
        handler._gunicorn = True
        log.addHandler(handler)

    def _set_syslog_handler(self, log, cfg, fmt, name):
        from logging.handlers import SysLogHandler

        prefix = 'gunicorn.%s.%s' % (cfg.syslog_prefix or cfg.proc_name.replace(':', '.'), name)
        kind, _, place = cfg.syslog_addr.partition('://')
        host, _, port = place.partition(':')
        address = place.partition('#')[0] if kind == 'unix' else (host or 'localhost', int(port or 514))
        handler = SysLogHandler(address=address, facility=cfg.syslog_facility.lower())
        handler.setFormatter(logging.Formatter('%s: %s' % (prefix, fmt)))
        log.addHandler(handler)

    def critical(self, msg, *args, **kwargs):
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg, *args, **kwargs):
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg, *args, **kwargs):
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg, *args, **kwargs):
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg, *args, **kwargs):
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl, msg, *args, **kwargs):
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), logging.INFO)
        self.error_log.log(lvl, msg, *args, **kwargs)

    def now(self):
        return time.strftime('[%d/%b/%Y:%H:%M:%S %z]')

    def atoms(self, resp, req, environ, request_time):
        status = resp.status.split(None, 1)[0] if isinstance(resp.status, str) else resp.status
        microseconds = request_time.seconds * 1000000 + request_time.microseconds
        atoms = {
            'h': environ.get('REMOTE_ADDR', '-'),
            'l': '-',
            'u': self._get_user(environ) or '-',
            't': self.now(),
            'r': '%s %s %s' % (environ['REQUEST_METHOD'], environ['RAW_URI'], environ['SERVER_PROTOCOL']),
            's': status,
            'm': environ.get('REQUEST_METHOD'),
            'U': environ.get('PATH_INFO'),
            'q': environ.get('QUERY_STRING'),
            'H': environ.get('SERVER_PROTOCOL'),
            'b': str(resp.sent) if resp.sent is not None else '-',
            'B': resp.sent,
            'f': environ.get('HTTP_REFERER', '-'),
            'a': environ.get('HTTP_USER_AGENT', '-'),
            'T': request_time.seconds,
            'D': microseconds,
            'M': microseconds // 1000,
            'L': '%d.%06d' % (request_time.seconds, request_time.microseconds),
            'p': '<%s>' % os.getpid(),
        }
        for kind, pairs in (('i', req.headers), ('o', resp.headers), ('e', environ.items())):
            atoms.update(('{%s}%s' % (name.lower(), kind), value) for name, value in pairs)
        return atoms

    @property
    def access_log_enabled(self):
        cfg = self.cfg
        own = cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json
        return bool(own or cfg.accesslog or (cfg.syslog and not cfg.disable_redirect_access_to_syslog))

    def access(self, resp, req, environ, request_time):
        try:
            atoms = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
            self.access_log.info(self.cfg.access_log_format, atoms)
        except Exception:
            self.error(traceback.format_exc())

    def _get_user(self, environ):
        scheme, _, credentials = environ.get('HTTP_AUTHORIZATION', '').partition(' ')
        if scheme.lower() != 'basic':
            return None
        import base64

        try:
            return base64.b64decode(credentials.strip()).partition(b':')[0].decode()
        except ValueError:
            return None

    def reopen_files(self):
        """Nothing to do: files follow their names."""

    def close_on_exec(self):
        """Nothing to do: Python's files are closed on exec."""
