"""The standard package itself under this name, with its module: the interface of multiprocessing on threads. plait has none of its own."""

import sys
from multiprocessing import dummy as _standard
from multiprocessing.dummy import *
from multiprocessing.dummy import connection as _connection

sys.modules[f"{__name__}.connection"] = _connection
sys.modules[__name__] = _standard
