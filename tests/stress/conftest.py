"""Much of everything: many waiters and threads, cancellations, time-outs, signals and forks, and nothing may be lost or left over.

One that hangs fails, with stacks: threads are joined with a limit (crowds.py), programs run with one (programs/limits.py), and
behind both stands the limit of tests/crosskind.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crosskind"))

from hang_limit import never_hang, terminal  # noqa: E402

__all__ = ["never_hang", "terminal"]
