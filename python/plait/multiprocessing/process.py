"""The standard module itself under this name: processes as objects. plait has none of its own."""

import sys
from multiprocessing import process as _standard
from multiprocessing.process import *

sys.modules[__name__] = _standard
