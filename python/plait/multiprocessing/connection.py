"""The standard module itself under this name: pipes, listeners and clients. plait has none of its own."""

import sys
from multiprocessing import connection as _standard
from multiprocessing.connection import *

sys.modules[__name__] = _standard
