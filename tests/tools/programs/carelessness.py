"""What development mode complains about, one thing after the other."""

import asyncio
import gc
import threading

import which_loop


async def forgotten() -> None:
    pass


async def fails() -> None:
    raise LookupError("lost")


async def waits_for(future: "asyncio.Future[None]") -> None:
    await future


def raises() -> None:
    raise LookupError("in a callback")


async def forgets_to_await() -> None:
    forgotten()


async def does_not_look_at_the_result() -> None:
    asyncio.create_task(fails())
    await asyncio.sleep(0)


async def drops_a_pending_task() -> None:
    asyncio.create_task(waits_for(asyncio.Future()))
    await asyncio.sleep(0)
    gc.collect()


async def drops_a_failed_future() -> None:
    asyncio.get_running_loop().create_future().set_exception(LookupError("in a future"))


async def fails_in_a_callback() -> None:
    asyncio.get_running_loop().call_soon(raises)
    await asyncio.sleep(0)


async def calls_from_another_thread() -> None:
    loop = asyncio.get_running_loop()

    def call() -> None:
        try:
            loop.call_soon(raises)
        except RuntimeError as error:
            print("RuntimeError:", error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


async def is_slow() -> None:
    loop = asyncio.get_running_loop()
    usual, loop.slow_callback_duration = loop.slow_callback_duration, 0.0
    await asyncio.sleep(0)
    loop.slow_callback_duration = usual


async def calls_with_rubbish() -> None:
    loop = asyncio.get_running_loop()
    for rubbish in (forgotten, 42):
        try:
            loop.call_soon(rubbish)
        except TypeError as error:
            print("TypeError:", error)


async def shows_itself() -> None:
    loop = asyncio.get_running_loop()
    handle = loop.call_soon(print, "never printed")
    print(asyncio.current_task())
    print(handle)
    handle.cancel()
    print(handle)
    print(loop.create_future())


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 60.0  # so that a busy machine complains of nothing by itself
    deeds = [
        forgets_to_await,
        does_not_look_at_the_result,
        drops_a_pending_task,
        drops_a_failed_future,
        fails_in_a_callback,
        is_slow,
        shows_itself,
    ]
    if loop.get_debug():  # without, nobody looks
        deeds += [calls_from_another_thread, calls_with_rubbish]
    for careless in deeds:
        # To the same stream as the complaints, so that they stay in order.
        loop.call_exception_handler({"message": f"-- {careless.__name__}"})
        await asyncio.create_task(careless())
        gc.collect()


asyncio.run(main())
asyncio.new_event_loop()  # never closed
gc.collect()
which_loop.say()
