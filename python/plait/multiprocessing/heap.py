"""The standard module itself under this name: the memory behind Value and Array. plait has none of its own."""

import sys
from multiprocessing import heap as _standard
from multiprocessing.heap import *

sys.modules[__name__] = _standard
