"""What plait owes its users: per workload, the largest share of the best peer's figure that it may cost.

A share is plait's median divided by the median of the best peer of the same run, whichever peer that is:
1.0 is as good as the best, 0.5 is half the time (or half the memory). Shares are kept rather than
nanoseconds, since a figure says more about the machine than about the loop, and the best peer rather than asyncio,
since it is easy to be faster than asyncio.

A workload that is not named here is measured and shown but never judged.
"""

TARGET_SHARES = {
    "call_soon": 0.9,
    "call_later_cancel": 0.9,
    "call_soon_threadsafe": 0.9,
    "create_task_await": 0.6,
    "sleeping_tasks": 0.8,
}
