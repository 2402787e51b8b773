"""How far coroutines remember where they were made: debug mode's affair while the loop runs, the program's otherwise."""

import asyncio
import sys

import which_loop


async def main() -> None:
    print("inside", sys.get_coroutine_origin_tracking_depth())


sys.set_coroutine_origin_tracking_depth(3)
print("before", sys.get_coroutine_origin_tracking_depth())
asyncio.run(main(), debug=True)
print("after", sys.get_coroutine_origin_tracking_depth())
sys.set_coroutine_origin_tracking_depth(0)
which_loop.say()
