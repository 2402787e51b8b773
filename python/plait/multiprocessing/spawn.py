"""The standard module itself under this name: how a fresh interpreter becomes a child. plait has none of its own."""

import sys
from multiprocessing import spawn as _standard
from multiprocessing.spawn import *

sys.modules[__name__] = _standard
