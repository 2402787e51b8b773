"""Section 2 of the feature list: ``threading.Thread``.

Threads are the interpreter's under plait too, but they start, and are named and joined, by what stands in ``threading``: so each row is shown with
plait's primitives there.

Not here: 2.15, which promises nothing. Of 2.10 the process is the standard ``multiprocessing``'s; ``plait.multiprocessing`` is to come.
"""

import os
import pty
import time
import warnings

import programs
import pytest
from plait import _native


def started(thread):
    thread.start()
    return thread


def test_2_the_implementation_that_runs(threading):
    """The standard Thread, which installed waits on plait's primitives."""
    import threading as standard

    assert threading.Thread is standard.Thread and threading.local is standard.local
    thread = started(threading.Thread(target=int))
    thread.join()
    assert (type(thread._started) is _native.ThreadingEvent) is (threading is standard)
    assert issubclass(threading.Timer, standard.Thread) and type(threading.Timer(1, int).finished) is _native.ThreadingEvent


def test_2_1_target_args_kwargs_name(threading):
    got = []

    def target(*args, **kwargs):
        got.append((args, kwargs, threading.current_thread().name))

    started(threading.Thread(target=target, args=(1, [2]), kwargs={"three": 3}, name="called so")).join()
    assert got == [((1, [2]), {"three": 3}, "called so")]


def test_2_2_start_only_once(threading):
    thread = threading.Thread(target=int)
    with pytest.raises(RuntimeError, match="^cannot join thread before it is started$"):
        thread.join()
    started(thread).join()
    with pytest.raises(RuntimeError, match="^threads can only be started once$"):
        thread.start()


def test_2_3_the_first_started_waits_first(threading, switching_seldom):
    """A dialogue that relies on it, 1000 times: the answerer's first wait has to come before the asker's first notification.

    The standard library promises it only as long as the machine lets a thread run when its turn has come, so here turns are long.
    """
    said = []

    def answerer(condition):
        with condition:
            for i in range(3):
                condition.wait()
                said.append(f"answer {i}")
                condition.notify()

    def asker(condition):
        with condition:
            for i in range(3):
                said.append(f"question {i}")
                condition.notify()
                condition.wait()

    expected = [f"{what} {i}" for i in range(3) for what in ("question", "answer")]
    for _ in range(1000):
        said.clear()
        condition = threading.Condition()
        first = started(threading.Thread(target=answerer, args=(condition,)))
        second = started(threading.Thread(target=asker, args=(condition,)))
        first.join()
        second.join()
        assert said == expected


def test_2_4_run(threading):
    called = []

    class Own(threading.Thread):
        def run(self):
            called.append(("overridden", threading.get_ident()))

    def target():
        called.append(("target", threading.get_ident()))

    for thread in (threading.Thread(target=target), Own(target=target)):
        started(thread).join()
        assert called.pop()[1] == thread.ident
    threading.Thread(target=target).run()
    Own().run()
    here = threading.get_ident()
    assert called == [("target", here), ("overridden", here)]
    assert threading.Thread().run() is None


def test_2_5_join_waits_at_most_its_timeout(threading):
    go = threading.Event()
    thread = started(threading.Thread(target=go.wait))
    began = time.monotonic()
    assert thread.join(0.02) is None
    assert time.monotonic() - began >= 0.02 and thread.is_alive()
    assert thread.join(timeout=0) is None and thread.is_alive()
    go.set()
    assert thread.join() is None and not thread.is_alive()
    assert thread.join() is None, "and once more"
    with pytest.raises(RuntimeError, match="^cannot join current thread$"):
        threading.current_thread().join()


def test_2_6_is_alive(threading):
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    assert thread.is_alive() is False
    thread.start()
    assert thread.is_alive() is True and thread in threading.enumerate()
    go.set()
    thread.join()
    assert thread.is_alive() is False and thread not in threading.enumerate()


def test_2_7_names_by_the_old_methods(threading):
    class Own(threading.Thread):
        pass

    threads = [threading.Thread(), Own(), threading.Timer(1, int), threading.current_thread()]
    names = [thread.name for thread in threads]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [threading.Thread.getName(thread) for thread in threads] == [thread.getName() for thread in threads] == names
        threading.Thread.setName(threads[0], "by setName")
    assert threads[0].name == "by setName"
    assert {warning.category for warning in caught} == {DeprecationWarning} and len(caught) == 9


def test_2_8_current_thread_by_its_old_name(threading):
    with pytest.warns(DeprecationWarning):
        assert threading.currentThread() is threading.current_thread()
    assert repr(threading.main_thread()) == f"<_MainThread(MainThread, started {threading.main_thread().ident})>"
    thread = threading.Thread(name="T", daemon=True)
    assert repr(thread) == "<Thread(T, initial daemon)>"
    started(thread).join()
    assert repr(thread) == f"<Thread(T, stopped daemon {thread.ident})>"


def test_2_9_default_names(tmp_path):
    """Numbered per process, and plait itself uses up no number."""
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        def work():
            print(threading.current_thread().name, flush=True)
        class Own(threading.Thread):
            def run(self):
                work()
        for thread in (threading.Thread(target=work), threading.Thread(name="mine", target=work), Own(), threading.Timer(0, work)):
            thread.start()
            thread.join()
        """,
    )
    assert end == (0, "Thread-1 (work)\nmine\nThread-2\nThread-3\n", "")


def test_2_10_a_class_attribute_called_name(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        from multiprocessing import get_context
        class Thread(threading.Thread):
            name = "线程"
            def run(self):
                print(self.name, threading.current_thread() is self, flush=True)
        class Process(get_context("fork").Process):
            name = "进程"
            def run(self):
                print(self.name, flush=True)
        for strand in (Thread(), Process()):
            try:
                strand.start()
            except AttributeError as error:
                print(error)
            else:
                strand.join()
        """,
    )
    assert end == (0, "线程 True\n进程\n", "")


def test_2_11_attributes_before_init(threading):
    class Own(threading.Thread):
        def __init__(self, number):
            self.number = number
            self.seen = []
            super().__init__()

        def run(self):
            self.seen.append(self.number)

    class OwnTimer(threading.Timer):
        def __init__(self, number):
            self.number = number
            super().__init__(0, lambda: self.seen.append(self.number))
            self.seen = []

    for kind in (Own, OwnTimer):
        thread = started(kind(7))
        thread.join()
        assert thread.seen == [7]


def test_2_12_globals_are_looked_up_at_run_time(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        def worker():
            go.wait()
            with lock:
                print(t.name)
        go, lock = threading.Event(), threading.Lock()
        threads = []
        for i in range(3):
            t = threading.Thread(target=worker, name=f"number {i}")
            threads.append(t)
            t.start()
        go.set()
        for thread in threads:
            thread.join()
        """,
    )
    assert end == (0, "number 2\n" * 3, "")


def test_2_13_the_interpreter_waits_for_threads_that_nobody_joins(tmp_path):
    """They begin to work when the main thread has ended."""
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        def work():
            main.join()
            turn.acquire()
            results.append(len(results))
            print("result", results[-1], flush=True)
            turn.release()
        main, turn, results = threading.main_thread(), threading.Semaphore(1), []
        print({threading.Thread(target=work).start() for _ in range(100)})
        print("main ends", flush=True)
        """,
    )
    assert end == (0, "{None}\nmain ends\n" + "".join(f"result {i}\n" for i in range(100)), "")


@pytest.mark.parametrize("daemon", [True, False])
def test_2_14_daemons(tmp_path, daemon):
    """One that is no daemon outlives the main thread; a daemon does not, and its clean-up is left undone."""
    end = programs.same_in_each_way(
        tmp_path,
        f"""
        import threading
        def waits():
            try:
                threading.main_thread().join()
                never = threading.Event()
                never.wait(None if {daemon} else 0.001)
                print("it outlived the main thread")
            finally:
                print("cleaned up")
        threading.Thread(target=waits, daemon={daemon}).start()
        print("main ends")
        """,
    )
    assert end == (0, "main ends\n" + ("" if daemon else "it outlived the main thread\ncleaned up\n"), "")


def test_2_16_two_ways_of_making_threads(threading):
    made = []

    class Own(threading.Thread):
        def run(self):
            made.append("subclass")

    for thread in (threading.Thread(target=made.append, args=("target",)), Own()):
        started(thread).join()
    assert made == ["target", "subclass"]


def test_2_17_timer(threading):
    fired = []
    began = time.monotonic()
    timer = threading.Timer(0.02, lambda *args, **kwargs: fired.append((args, kwargs, time.monotonic())), [1], {"two": 2})
    started(timer).join()
    ((args, kwargs, when),) = fired
    assert (args, kwargs) == ((1,), {"two": 2}) and when - began >= 0.02
    cancelled = started(threading.Timer(3600, fired.append, ["never"]))
    cancelled.cancel()
    cancelled.join()
    assert len(fired) == 1


INPUT = """
    import sys
    import threading
    def waits(i):
        with lock:
            print("waits", i, flush=True)
        begun.release()
        event.wait()
        with lock:
            print("goes on", i, flush=True)
    event, lock, begun = threading.Event(), threading.Lock(), threading.Semaphore(0)
    threads = [threading.Thread(target=waits, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.acquire()
    print("terminal" if sys.stdin.isatty() else "pipe", flush=True)
    while input("say true: ") != "true":
        print("still waiting", event.is_set(), flush=True)
    print(flush=True)
    event.set()
    for thread in threads:
        thread.join()
"""


def test_2_18_input_while_others_wait(tmp_path):
    ends = {way: programs.run_as(way, tmp_path, INPUT, stdin="false\ntrue\n") for way in programs.WAYS}
    lines = {way: (end.returncode, sorted(end.stdout.split("\n")), end.stderr) for way, end in ends.items()}
    assert lines["run"] == lines["mirror"] == lines["host"]
    said = ends["run"].stdout
    assert said.index("waits 2") < said.index("pipe\nsay true: still waiting False\nsay true: ") < said.index("goes on")
    assert said.count("goes on") == 3 and ends["run"].returncode == 0


@pytest.mark.parametrize("way", programs.WAYS)
def test_2_18_input_from_a_terminal(tmp_path, way):
    terminal, end = pty.openpty()
    try:
        with programs.running(way, tmp_path, INPUT, stdin=end, stdout=end, stderr=end) as process:
            os.close(end)
            said = b""
            while not said.endswith(b"say true: "):
                said += os.read(terminal, 1000)
            assert b"terminal\r\n" in said and b"goes on" not in said
            os.write(terminal, b"true\n")
            while said.count(b"goes on") < 3:
                said += os.read(terminal, 1000)
            assert process.wait(programs.LIMIT) == 0
    finally:
        os.close(terminal)


def test_2_19_the_script_is_the_real_main_module(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        def student(name):
            local_data.name = name
            shown()
        def shown():
            import __main__, sys
            print(local_data.name, __main__.local_data is local_data, sys.modules["__main__"].__dict__ is globals(), flush=True)
        if __name__ == "__main__":
            local_data = threading.local()
            for name in ("Bob", "Alice"):
                thread = threading.Thread(target=student, args=(name,))
                thread.start()
                thread.join()
            print(hasattr(local_data, "name"), student.__module__)
        """,
    )
    assert end == (0, "Bob True True\nAlice True True\nFalse __main__\n", "")
