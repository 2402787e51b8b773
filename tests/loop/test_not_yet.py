"""What is not native yet refuses with NotImplementedError, and says what it is and what to do."""

import asyncio

import pytest

CALLS = {
    "connect_read_pipe": (lambda loop: loop.connect_read_pipe(asyncio.Protocol, None), "pipes"),
    "connect_write_pipe": (lambda loop: loop.connect_write_pipe(asyncio.Protocol, None), "pipes"),
    "subprocess_exec": (lambda loop: loop.subprocess_exec(asyncio.SubprocessProtocol, "true"), "subprocesses"),
    "subprocess_shell": (lambda loop: loop.subprocess_shell(asyncio.SubprocessProtocol, "true"), "subprocesses"),
    "asyncio.create_subprocess_exec": (lambda loop: asyncio.create_subprocess_exec("true"), "subprocesses"),
    "asyncio.create_subprocess_shell": (lambda loop: asyncio.create_subprocess_shell("true"), "subprocesses"),
}


@pytest.mark.parametrize("name", CALLS)
def test_not_yet(loop, run, name):
    call, feature = CALLS[name]

    async def main():
        await call(loop)

    with pytest.raises(NotImplementedError) as caught:
        run(main())
    assert feature in str(caught.value) and "plait" in str(caught.value)


def test_every_method_of_a_loop_is_there(loop):
    """All of AbstractEventLoop is done or refuses in its own words: nothing is inherited that raises without any."""
    missing = [
        name
        for name in vars(asyncio.AbstractEventLoop)
        if not name.startswith("_") and not callable(getattr(type(loop), name, None))
    ]
    assert missing == []
