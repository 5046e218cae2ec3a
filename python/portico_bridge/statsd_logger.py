"""The logger where StatsD is told: it counts what is logged at WARNING and above, and sends the metrics that hooks and applications
hand to it with `extra={'metric': …, 'value': …, 'mtype': 'gauge' | 'counter' | 'histogram' | 'timer'}`. Requests are told by
the front.
"""

import logging
import re
import socket

from .logger import Logger


class StatsdLogger(Logger):
    def __init__(self, cfg):
        super().__init__(cfg)
        self.prefix = re.sub(r'^(.+[^.]+)\.*$', r'\g<1>.', cfg.statsd_prefix)
        self.dogstatsd_tags = cfg.dogstatsd_tags
        self.sock = None
        place = cfg.statsd_host
        family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
        try:
            self.sock = socket.socket(family, socket.SOCK_DGRAM)
            self.sock.connect(place)
            self.sock.setblocking(False)
        except OSError:
            self.sock = None

    def critical(self, msg, *args, **kwargs):
        super().critical(msg, *args, **kwargs)
        self.increment('gunicorn.log.critical', 1)

    def error(self, msg, *args, **kwargs):
        super().error(msg, *args, **kwargs)
        self.increment('gunicorn.log.error', 1)

    def warning(self, msg, *args, **kwargs):
        super().warning(msg, *args, **kwargs)
        self.increment('gunicorn.log.warning', 1)

    def exception(self, msg, *args, **kwargs):
        super().exception(msg, *args, **kwargs)
        self.increment('gunicorn.log.exception', 1)

    def info(self, msg, *args, **kwargs):
        self.log(logging.INFO, msg, *args, **kwargs)

    def debug(self, msg, *args, **kwargs):
        self.log(logging.DEBUG, msg, *args, **kwargs)

    def log(self, lvl, msg, *args, **kwargs):
        extra = kwargs.get('extra') or {}
        if extra.get('metric') and extra.get('value') is not None:
            send = {'gauge': self.gauge, 'counter': self.increment, 'histogram': self.histogram, 'timer': self.timer}
            if extra.get('mtype') in send:
                send[extra['mtype']](extra['metric'], extra['value'])
        if msg:
            super().log(lvl, msg, *args, **kwargs)

    def gauge(self, name, value):
        self._send('%s%s:%s|g' % (self.prefix, name, value))

    def increment(self, name, value, sampling_rate=1.0):
        self._send('%s%s:%s|c|@%s' % (self.prefix, name, value, sampling_rate))

    def decrement(self, name, value, sampling_rate=1.0):
        self._send('%s%s:-%s|c|@%s' % (self.prefix, name, value, sampling_rate))

    def timer(self, name, value):
        self._send('%s%s:%s|ms' % (self.prefix, name, value))

    def histogram(self, name, value):
        self._send('%s%s:%s|h' % (self.prefix, name, value))

    def _send(self, text):
        if self.dogstatsd_tags:
            text += '|#' + self.dogstatsd_tags
        if self.sock is not None:
            try:
                self.sock.send(text.encode('utf-8'))
            except OSError:
                pass  # nobody listens, or not as fast
