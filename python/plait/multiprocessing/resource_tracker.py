"""The standard module itself under this name: the process that sweeps up named memory and semaphores. plait has none of its own."""

import sys
from multiprocessing import resource_tracker as _standard
from multiprocessing.resource_tracker import *

sys.modules[__name__] = _standard
