"""The standard module itself under this name: the server of the start method of that name. plait has none of its own."""

import sys
from multiprocessing import forkserver as _standard
from multiprocessing.forkserver import *

sys.modules[__name__] = _standard
