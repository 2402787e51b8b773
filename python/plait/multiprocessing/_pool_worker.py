"""How a worker of a ``Pool`` makes a call: it answers with a pickle that says whether the call succeeded, and what it returned or raised.

The answer is pickled here, since the standard pool tells a result that cannot be pickled from all other errors, and shows it. What has no buffers crosses as the bytes that it is;
buffers stay beside the pickle, and cross in shared memory.
"""

import os
import pickle
from multiprocessing.pool import ExceptionWithTraceback, MaybeEncodingError  # type: ignore[attr-defined]
from typing import Any

from plait._process_pool import WorkerDied, _pickling


def make(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call it; the answer is for `read`."""
    try:
        answer = True, function(*args, **kwargs)
    except SystemExit as error:
        # Not in the program, which it would end.
        ended = WorkerDied(f"the call would have ended its worker by sys.exit({error.code!r})", os.getpid())
        answer = False, ExceptionWithTraceback(ended, error.__traceback__)
    except Exception as error:
        answer = False, ExceptionWithTraceback(error, error.__traceback__)
    try:
        parts = _pickling.dump(answer)
    except Exception as error:
        parts = _pickling.dump((False, MaybeEncodingError(error, answer[1])))
    return bytes(parts[0]) if len(parts) == 1 else [pickle.PickleBuffer(part) for part in parts]


def read(answer: Any) -> tuple[bool, Any]:
    """Whether a call succeeded, and what it returned or raised."""
    made: tuple[bool, Any] = _pickling.load([answer] if type(answer) is bytes else answer)
    return made
