"""The standard module itself under this name: finalizers, logging, what is done after a fork. plait has none of its own."""

import sys
from multiprocessing import util as _standard
from multiprocessing.util import *

sys.modules[__name__] = _standard
