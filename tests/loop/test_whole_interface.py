"""Nothing of asyncio's loop is missing."""

import asyncio


def test_every_method_of_a_loop_is_there(loop):
    """All of AbstractEventLoop is done: nothing is inherited that raises NotImplementedError."""
    missing = [
        name
        for name in vars(asyncio.AbstractEventLoop)
        if not name.startswith("_")
        and getattr(type(loop), name, None) in (None, getattr(asyncio.AbstractEventLoop, name))
    ]
    assert missing == []
