"""Event: one `set` wakes all who wait, in the order of their arrival; a `clear` before they ran takes nothing back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primitive_stage import assert_same, assert_same_if, finish, plain, still_waiting
from script_player import Player, looking, numbers, scripted, scripts, start, step


class EventPlayer(Player):
    def seen_inside(self):
        return self.thing._value, still_waiting(self.thing._waiters), self.thing._loop is self.stage.loop

    def end(self):
        assert not (self.thing.is_set() and self.waiting()), "the event is set, and somebody waits for it"
        for _ in self.tasks:  # those that clear it when they are woken leave the others waiting again
            self.do("set", [])
            self.quiet()
        assert not self.waiting()

    async def wait(self):
        return await self.thing.wait()

    async def wait_and(self, then, turns):
        """Wait, change the event, wait again."""
        await self.thing.wait()
        getattr(self.thing, then)()
        await self.pause(turns)
        if then == "set":
            return await self.thing.wait()
        return None

    def set(self):
        return self.thing.set()

    def clear(self):
        return self.thing.clear()


@looking
@scripted
@given(
    script=scripts(
        start("wait"),
        start("wait"),
        start("wait_and", st.sampled_from(["set", "clear"]), numbers),
        step("set"),
        step("clear"),
    ),
)
def test_scripts(looks, script):
    def body(stage):
        EventPlayer(stage, stage.asyncio.Event(), looks).play(script)

    assert_same_if(not looks, body)


# --- turn by turn


@pytest.mark.parametrize("cleared", [False, True])
def test_set_wakes_all_in_the_order_of_their_arrival(cleared):
    def body(stage):
        event = stage.asyncio.Event()

        async def worker(name):
            stage.note("woken", name, await event.wait(), event.is_set())

        tasks = stage.blocked(*map(worker, range(6)))
        event.set()
        stage.loop.call_soon(stage.note, "after", "them")
        if cleared:
            event.clear()
        stage.note("set", event.is_set())
        stage.turn()
        stage.note("done", event.is_set())
        stage.note_ends(tasks)

    trace = assert_same(body)
    assert [name for what, name, *_ in trace if what in ("woken", "after")] == [*range(6), "them"]


def test_one_that_comes_after_set_and_clear_waits():
    def body(stage):
        event = stage.asyncio.Event()
        first = stage.blocked(event.wait())
        event.set()
        event.clear()
        late = stage.task(event.wait())
        stage.turn(2)
        stage.note(first[0].done(), late.done(), event.is_set())
        event.set()
        stage.turn()
        stage.note(late.done(), plain(event))

    assert assert_same(body)[0] == (True, False, False)


def test_one_that_comes_while_it_is_set_passes_without_a_turn():
    def body(stage):
        event = stage.asyncio.Event()
        event.set()
        event.set()
        stage.attempt(finish, event.wait())
        stage.note(event._loop, event.is_set())
        event.clear()
        event.clear()
        stage.note(event.is_set(), plain(event))

    assert assert_same(body)[0] == ("returned", "bool", "True")


def test_ping_pong():
    def body(stage):
        ping, pong = stage.asyncio.Event(), stage.asyncio.Event()

        async def player(name, mine, other):
            for count in range(20):
                await mine.wait()
                mine.clear()
                stage.note(name, count)
                other.set()

        tasks = [stage.task(player("ping", ping, pong)), stage.task(player("pong", pong, ping))]
        ping.set()
        for turn in range(50):
            stage.note("turn", turn)
            stage.turn()
        stage.note_ends(tasks)

    played = [one for one in assert_same(body) if one[0] in ("ping", "pong")]
    assert played == [(name, count) for count in range(20) for name in ("ping", "pong")]


def test_reprs():
    def body(stage):
        event = stage.asyncio.Event()
        stage.note(plain(event), hex(id(event)) in repr(event))
        tasks = stage.blocked(event.wait(), event.wait())
        stage.note(plain(event))
        event.set()
        stage.note(plain(event))
        stage.turn()
        stage.note(plain(event), len(tasks))

    trace = assert_same(body)
    assert trace[1] == ("<Event object at 0x [unset, waiters:2]>",) and trace[-1] == ("<Event object at 0x [set]>", 2)


def test_private_attributes():
    def body(stage):
        event = stage.asyncio.Event()
        stage.note(event._value, len(event._waiters), bool(event._waiters), event._loop)
        tasks = stage.blocked(event.wait(), event.wait(), event.wait())
        tasks[1].cancel()
        stage.note(event._value, still_waiting(event._waiters), event._loop is stage.loop)
        event.set()
        stage.note(event._value, still_waiting(event._waiters))
        stage.turn()
        stage.note(event._value, still_waiting(event._waiters))

    assert (True, 0) in assert_same(body)


def test_a_subclass_that_overrides_set_and_is_set():
    def body(stage):
        class Mine(stage.asyncio.Event):
            def set(self):
                stage.note("set")
                super().set()

            def is_set(self):
                return "perhaps"

            async def wait(self):
                stage.note("wait")
                return await super().wait()

        event = Mine()
        tasks = stage.blocked(event.wait())
        event.set()
        stage.turn()
        stage.note(event.is_set(), plain(event).replace(__name__, ""))
        stage.note_ends(tasks)

    assert_same(body)
