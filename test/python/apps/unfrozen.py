"""As with PyPy, whose collector has nothing to freeze."""

import gc

from basic import application

del gc.freeze
