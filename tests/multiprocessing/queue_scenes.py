"""What the children of the queues' tests do, and both makes of queue. Children that are spawned import this by its name."""

import multiprocessing
import multiprocessing.queues
import os

from plait.multiprocessing import queues

LIMIT = 60  # seconds; against hangs
MAKES = {"standard": multiprocessing.queues, "plait": queues}
METHODS = ("fork", "spawn", "forkserver")


def made(make, method="fork", kind="Queue", *args):
    context = multiprocessing.get_context(method)
    return context, getattr(MAKES[make], kind)(*args, ctx=context)


def put_all(items, objects):
    for item in objects:
        items.put(item)


def put_numbers(items, writer, count, length=0):
    for n in range(count):
        items.put((writer, n, b"x" * length))


def echo(source, target):
    while (item := source.get()) is not None:
        target.put(item)


def echo_done(source, target):
    while (item := source.get()) is not None:
        target.put(item)
        source.task_done()
    source.task_done()


def get_for_ever(items, told):
    while True:
        told.put((os.getpid(), items.get()))


def put_for_ever(items, writer, length):
    n = 0
    while True:
        items.put((writer, n, b"x" * length))
        n += 1


def joined(*processes):
    for process in processes:
        process.join(LIMIT)
        assert process.exitcode == 0


def get_until_the_end(items, told):
    items._writer.close()
    told.put("begun")
    try:
        while True:
            items.get()
    except EOFError:
        told.put("ended")
