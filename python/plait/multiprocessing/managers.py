"""The standard module itself under this name: managers and their proxies. plait has none of its own."""

import sys
from multiprocessing import managers as _standard
from multiprocessing.managers import *

sys.modules[__name__] = _standard
