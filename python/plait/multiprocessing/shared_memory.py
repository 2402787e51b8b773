"""The standard module itself under this name: blocks of memory by name. plait has none of its own."""

import sys
from multiprocessing import shared_memory as _standard
from multiprocessing.shared_memory import *

sys.modules[__name__] = _standard
