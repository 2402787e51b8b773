"""Makes a loop the current one and never closes it, as short scripts do."""

import asyncio

import which_loop

which_loop.say()
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(asyncio.sleep(0))
del loop
