"""On 3.11 an instance's dictionary is made before the fields of the object are written, and making it may start a collection, which then
looks at memory that is zero. What zero means is up to the compiler, and it changed with a variant that was added to an enum."""

import asyncio
import gc

import plait


def test_objects_that_are_collected_while_they_are_made():
    async def main():
        loop = asyncio.get_running_loop()
        threshold = gc.get_threshold()
        gc.set_threshold(1)
        try:
            for _ in range(300):
                future = loop.create_future()
                waiting = loop.create_task(plait.asyncio.wait([future], timeout=3600))
                sleeping = loop.create_task(plait.asyncio.sleep(3600))
                async with plait.asyncio.TaskGroup() as group, plait.asyncio.timeout(3600):
                    group.create_task(plait.asyncio.sleep(0))
                future.set_result(None)
                await waiting
                sleeping.cancel()
                await asyncio.gather(sleeping, plait.asyncio.gather(future), return_exceptions=True)
        finally:
            gc.set_threshold(*threshold)

    plait.run(main())
