"""The standard module itself under this name: descriptors that are sent to who asks. plait has none of its own."""

import sys
from multiprocessing import resource_sharer as _standard
from multiprocessing.resource_sharer import *

sys.modules[__name__] = _standard
