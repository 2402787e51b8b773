"""Subclasses of the queues that override public methods. They rely on which of its own methods a queue calls."""

import asyncio

from primitive_stage import assert_same, finish, plain, told


def test_which_of_its_methods_a_queue_calls():
    def body(stage):
        class Mine(stage.asyncio.Queue):
            pass

        def override(name):
            def method(self, *arguments):
                stage.note(name, *arguments)
                return getattr(super(Mine, self), name)(*arguments)

            setattr(Mine, name, method)

        for name in ("qsize", "empty", "full", "put_nowait", "get_nowait", "task_done"):
            override(name)
        queue = Mine(2)
        for call in (queue.put_nowait, queue.put):
            stage.note("---", call.__name__)
            stage.attempt(lambda call=call: finish(result) if (result := call("item")) else None)
        stage.note("---", "put, full")
        (putter,) = stage.blocked(queue.put("late"))
        for call in (queue.get_nowait, queue.get):
            stage.note("---", call.__name__)
            stage.attempt(call if call.__name__ == "get_nowait" else lambda: finish(queue.get()))
        stage.note("---", "turns")
        stage.turn(2)
        stage.note_end("putter", putter)
        stage.note("---", "get, empty")
        finish(queue.get())
        (getter,) = stage.blocked(queue.get())
        getter.cancel()
        stage.turn()
        stage.note("---", "repr")
        stage.note(plain(queue), str(queue))

    trace = assert_same(body)
    assert ("put_nowait", "item") in trace and ("get_nowait",) in trace and ("full",) in trace and ("empty",) in trace


def test_a_put_nowait_that_drops_the_oldest():
    def body(stage):
        class Dropping(stage.asyncio.Queue):
            def put_nowait(self, item):
                if self.full():
                    self.get_nowait()
                super().put_nowait(item)

        queue = Dropping(2)
        for item in range(5):
            queue.put_nowait(item)
        stage.note(plain(queue))
        putter = stage.task(queue.put(5))  # waits: put asks full() first
        stage.turn(2)
        stage.note(putter.done(), plain(queue))
        stage.note([queue.get_nowait() for _ in range(2)])
        stage.turn()
        stage.note_end("putter", putter)

    assert assert_same(body)[1][0] is False


def test_a_queue_that_is_never_full():
    def body(stage):
        class Endless(stage.asyncio.Queue):
            def full(self):
                return False

        queue = Endless(1)
        for item in range(3):
            stage.attempt(queue.put_nowait, item)
            stage.attempt(finish, queue.put(item))
        stage.note(plain(queue), queue.qsize())

    assert assert_same(body)[-1][1] == 6


def test_a_queue_that_measures_by_weight():
    def body(stage):
        class Weighing(stage.asyncio.Queue):
            def qsize(self):
                return sum(self._queue)

        queue = Weighing(10)
        for weight in (4, 5, 3, 2):
            stage.attempt(queue.put_nowait, weight)
            stage.note(queue.full(), queue.qsize(), queue.empty())
        (putter,) = stage.blocked(queue.put(1))
        stage.attempt(queue.get_nowait)
        stage.turn()
        stage.note_end("putter", putter)
        stage.note(plain(queue))

    assert ("raised", told(asyncio.QueueFull())) in assert_same(body)


def test_a_put_and_a_get_that_pack_and_unpack():
    def body(stage):
        class Packing(stage.asyncio.Queue):
            def __init__(self, name, *, maxsize=0):
                self.name = name
                self.before = "set before super().__init__()"
                super().__init__(maxsize=maxsize)

            async def put(self, item):
                await super().put((self.name, item))

            async def get(self):
                name, item = await super().get()
                return item

        queue = Packing("packed", maxsize=1)

        async def main():
            async def consume():
                return [await queue.get() for _ in range(5)]

            consumer = stage.task(consume())
            for item in range(5):
                await queue.put(item)
            stage.note(await consumer, queue.before, queue.name, queue.maxsize, plain(queue))

        stage.run(main())

    assert assert_same(body)[0][0] == [0, 1, 2, 3, 4]


def test_a_property_that_hides_a_method_of_the_base():
    def body(stage):
        class Mine(stage.asyncio.Queue):
            maxsize = 7
            name = "class"

            @property
            def empty(self):
                return self._is_it_empty

            def _is_it_empty(self):
                stage.note("asked")
                return not self._queue

            def _format(self):
                return "as I please"

            def __len__(self):
                return self.qsize()

        queue = Mine(1)
        queue.name = "object"
        (getter,) = stage.blocked(queue.get())
        queue.put_nowait("x")
        stage.turn()
        stage.note_end("getter", getter)
        stage.note(queue.maxsize, queue._maxsize, Mine.name, queue.name, len(queue), plain(queue), str(queue))

    assert assert_same(body)[-1][:2] == (7, 1)


def test_two_bases():
    def body(stage):
        class Named:
            def __init__(self, *arguments, name="nameless", **keywords):
                super().__init__(*arguments, **keywords)
                self.name = name

            def _put(self, item):
                stage.note("put", item)
                super()._put(item)

        class Mine(Named, stage.asyncio.LifoQueue):
            __slots__ = ("slot",)

        queue = Mine(2, name="two")
        queue.slot = "slot"
        queue.put_nowait(1)
        queue.put_nowait(2)
        stage.note(queue.name, queue.slot, queue.get_nowait(), queue.full(), isinstance(queue, stage.asyncio.Queue))
        stage.note([cls.__name__ for cls in type(queue).__mro__][:4])

    assert assert_same(body)[2] == ("two", "slot", 2, False, True)


def test_a_subclass_that_forgets_the_base_init():
    """Nothing works then, but nothing breaks."""

    def body(stage):
        class Mine(stage.asyncio.Queue):
            def __init__(self):
                pass

        queue = Mine()
        try:
            queue.put_nowait(1)
            stage.note(queue.get_nowait())
        except AttributeError:
            stage.note(1)

    assert assert_same(body) == [(1,)]


def test_a_subclass_that_inits_twice():
    def body(stage):
        class Mine(stage.asyncio.Queue):
            def __init__(self, maxsize):
                super().__init__(1)
                self.put_nowait("gone")
                super().__init__(maxsize)

        queue = Mine(2)
        stage.note(queue.maxsize, queue.qsize(), queue._unfinished_tasks, queue._finished.is_set(), plain(queue))

    assert assert_same(body)[0][:4] == (2, 0, 0, True)
