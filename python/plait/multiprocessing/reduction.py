"""The standard module itself under this name: how descriptors and sockets cross. plait has none of its own."""

import sys
from multiprocessing import reduction as _standard
from multiprocessing.reduction import *

sys.modules[__name__] = _standard
