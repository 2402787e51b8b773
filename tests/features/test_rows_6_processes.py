"""Section 6 of the feature list: processes.

Each row is a program as a user writes it. It runs without plait, under ``plait run``, and with plait's modules in place of the standard ones, and does the same each time. That what
runs is plait's is seen by the first test. 6.16 promises nothing; what starting costs is measured by ``plait bench``.
"""

import programs
import pytest

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(autouse=True)
def never_hang():
    """The programs have their own limit."""


@pytest.mark.parametrize("way", ["run", "mirror"])
def test_6_the_implementation_that_runs(tmp_path, way):
    source = """
        import multiprocessing
        NAMES = ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event", "Queue", "JoinableQueue", "SimpleQueue"]
        def homes():
            return {type(getattr(multiprocessing, name)()).__module__.partition(".")[0] for name in NAMES} | {type(multiprocessing.Barrier(2)).__module__.partition(".")[0]}
        def child(connection):
            connection.send(homes())
        if __name__ == "__main__":
            with multiprocessing.Pool(1) as pool:
                print(homes() | {type(pool).__module__.partition(".")[0]})
            for method in ["fork", "spawn", "forkserver"]:
                context = multiprocessing.get_context(method)
                ours, theirs = context.Pipe()
                process = context.Process(target=child, args=(theirs,))
                process.start()
                print(ours.recv())
                process.join()
        """
    done = programs.run_as(way, tmp_path, source)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'plait'}\n" * 4, "")


@pytest.mark.parametrize("way", ["run", "mirror"])
def test_6_the_executor_that_runs(tmp_path, way):
    source = """
        from concurrent.futures import ProcessPoolExecutor
        import concurrent.futures.process as standard
        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                print(type(pool).__module__, isinstance(pool, standard.ProcessPoolExecutor), pool.submit(abs, -1).result(), pool.stats().done)
        """
    done = programs.run_as(way, tmp_path, source)
    assert (done.returncode, done.stdout, done.stderr) == (0, "plait.concurrent.futures True 1 1\n", "")


def test_6_1_processes_share_no_memory(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import multiprocessing
        number, numbers = 100, []
        def change():
            global number
            number += 1
            numbers.append(number)
            print("child:", number, numbers)
        if __name__ == "__main__":
            for method in ["fork", "spawn"]:
                process = multiprocessing.get_context(method).Process(target=change)
                process.start()
                process.join()
                print("parent:", number, numbers)
        """,
    )
    assert end == (0, "child: 101 [101]\nparent: 100 []\n" * 2, "")


def test_6_2_fork(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import asyncio
        import os
        import queue
        import threading
        async def main():
            await asyncio.sleep(0)
            return await asyncio.to_thread(lambda: "a loop and a thread")
        print("before")
        asyncio.run(main())  # the loop and its threads have been there
        items, parent = queue.Queue(), os.getpid()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            thread = threading.Thread(target=items.put, args=(asyncio.run(main()),))
            thread.start()
            print("child:", os.getppid() == parent, items.get(), flush=True)
            os.write(writer, str(os.getpid()).encode())
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("parent:", os.read(reader, 100) == str(child).encode(), os.waitstatus_to_exitcode(status), asyncio.run(main()))
        """,
    )
    # The pipe's buffer was copied with the process where the output goes to one, and is written by both: that is fork's, not plait's.
    lines = end[1].splitlines()
    assert end[0] == 0 and lines[-1] == "parent: True 0 a loop and a thread" and lines.count("child: True a loop and a thread") == 1


@pytest.mark.parametrize("method", METHODS)
def test_6_3_start_methods(tmp_path, method):
    end = programs.same_in_each_way(
        tmp_path,
        f"""
        import multiprocessing
        def double(x):
            return x * 2
        def work(x, queue):
            queue.put((double(x), multiprocessing.get_start_method()))
        if __name__ == "__main__":
            multiprocessing.set_start_method("{method}")
            queue = multiprocessing.Queue()
            processes = [multiprocessing.Process(target=work, args=(x, queue)) for x in range(3)]
            for process in processes:
                process.start()
            print(sorted(queue.get() for _ in processes))
            for process in processes:
                process.join()
            print([process.exitcode for process in processes])
        """,
    )
    assert end == (0, f"[(0, '{method}'), (2, '{method}'), (4, '{method}')]\n[0, 0, 0]\n", "")


def test_6_4_process_objects(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from multiprocessing import Process, active_children, current_process
        import os
        def work(a, b, *, c):
            print(current_process().name, a, b, c, os.getppid() == parent, flush=True)
            raise SystemExit(c)
        parent = os.getpid()
        if __name__ == "__main__":
            process = Process(group=None, target=work, name="worker", args=(1, 2), kwargs={"c": 3})
            print(process.name, process.pid, process.exitcode, process.is_alive(), process.daemon)
            process.start()
            print(isinstance(process.pid, int), process in active_children())
            process.join()
            print(process.exitcode, process.is_alive(), active_children())
            try:
                process.start()
            except AssertionError as error:
                print(error)
            print(Process(target=print).name.startswith("Process-"))
        """,
    )
    expected = "worker None None False False\nTrue True\nworker 1 2 3 True\n3 False []\ncannot start a process twice\nTrue\n"
    assert end[0] == 0 and sorted(end[1].splitlines()) == sorted(expected.splitlines()) and end[2] == ""


def test_6_5_start_and_join(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from multiprocessing import Process
        import time
        def work():
            print("child begins", flush=True)
            time.sleep(0.05)
            print("child ends", flush=True)
        if __name__ == "__main__":
            process = Process(target=work)
            print("before", flush=True)
            process.start()
            process.join()
            print("after", process.exitcode)
        """,
    )
    assert end == (0, "before\nchild begins\nchild ends\nafter 0\n", "")


def test_6_6_a_subclass_with_run(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import multiprocessing
        class Worker(multiprocessing.Process):
            name = "进程"
            def __init__(self, number):
                super().__init__()
                self.number = number
            def run(self):
                print(self.name, self.number, multiprocessing.current_process().name, flush=True)
        if __name__ == "__main__":
            for number in range(2):
                worker = Worker(number)
                worker.start()
                worker.join()
                print(worker.exitcode)
        """,
    )
    assert end == (0, "进程 0 进程\n0\n进程 1 进程\n0\n", "")


def test_6_7_terminate(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from multiprocessing import Process, Queue
        def write(queue):
            for word in ["A", "B", "C"]:
                queue.put(word)
        def read(queue, seen):
            while True:
                seen.put(queue.get(True))
        if __name__ == "__main__":
            queue, seen = Queue(), Queue()
            writer, reader = Process(target=write, args=(queue,)), Process(target=read, args=(queue, seen))
            writer.start()
            reader.start()
            writer.join()
            print([seen.get() for _ in range(3)])
            reader.terminate()
            reader.join()
            print(writer.exitcode, reader.exitcode)
        """,
    )
    assert end == (0, "['A', 'B', 'C']\n0 -15\n", "")


def test_6_8_pool(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from multiprocessing import Pool
        import os
        import time
        def work(number):
            begun = time.monotonic()
            time.sleep(0.1)
            return number, os.getpid(), begun, time.monotonic()
        if __name__ == "__main__":
            pool = Pool(4)
            results = [pool.apply_async(work, args=(number,)) for number in range(5)]
            try:
                pool.join()
            except ValueError as error:
                print(error)
            pool.close()
            try:
                pool.apply_async(work, args=(5,))
            except ValueError as error:
                print(error)
            pool.join()
            done = [result.get() for result in results]
            print([number for number, *_ in done], len({pid for _, pid, _, _ in done}) <= 4)
            print(max(sum(begun <= moment < ended for _, _, begun, ended in done) for _, _, moment, _ in done) <= 4)
            with Pool() as pool:
                print(pool._processes == getattr(os, "process_cpu_count", os.cpu_count)(), pool.map(abs, range(-3, 0)), list(pool.imap(abs, [-1, -2])))
                print(sorted(pool.imap_unordered(abs, [-1, -2])), pool.starmap(pow, [(2, 3), (3, 2)]), pool.apply(divmod, (7, 3)))
        """,
    )
    assert end == (
        0,
        "Pool is still running\nPool not running\n[0, 1, 2, 3, 4] True\nTrue\nTrue [3, 2, 1] [1, 2]\n[1, 2] [8, 9] (2, 1)\n",
        "",
    )


def test_6_9_process_pool_executor(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from concurrent.futures import ProcessPoolExecutor
        import os
        import time
        def work(number):
            time.sleep(0.02)
            return number, os.getpid()
        if __name__ == "__main__":
            with ProcessPoolExecutor(max_workers=2) as pool:
                futures = [pool.submit(work, number) for number in range(4)]
            print([future.done() for future in futures])
            print([future.result()[0] for future in futures], len({future.result()[1] for future in futures}) <= 2)
            print(os.getpid() not in {future.result()[1] for future in futures})
        """,
    )
    assert end == (0, "[True, True, True, True]\n[0, 1, 2, 3] True\nTrue\n", "")


def test_6_10_subprocess_call(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        import subprocess
        print(subprocess.call(["echo", "hello"]), subprocess.call(["sh", "-c", "exit 3"]))
        """,
    )
    assert end == (0, "hello\n0 3\n", "")


def test_6_11_a_queue_between_processes(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from multiprocessing import Process, Queue
        from queue import Empty, Full
        def produce(queue, who):
            for number in range(200):
                queue.put((who, number))
        if __name__ == "__main__":
            queue = Queue()
            producers = [Process(target=produce, args=(queue, who)) for who in range(3)]
            for producer in producers:
                producer.start()
            seen = [queue.get(True) for _ in range(600)]
            for producer in producers:
                producer.join()
            print([[number for who, number in seen if who == each] == list(range(200)) for each in range(3)], queue.empty())
            for get in (queue.get_nowait, lambda: queue.get(True, 0.01)):
                try:
                    get()
                except Empty:
                    print("empty")
            full = Queue(1)
            full.put(1)
            try:
                full.put(2, timeout=0.01)
            except Full:
                print("full", full.full(), full.get())
        """,
    )
    assert end == (0, "[True, True, True] True\nempty\nempty\nfull True 1\n", "")


def test_6_12_a_pipe(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from multiprocessing import Pipe, Process
        def child(connection):
            while (message := connection.recv()) is not None:
                connection.send([message, "and back"])
            connection.close()
        if __name__ == "__main__":
            ours, theirs = Pipe()
            process = Process(target=child, args=(theirs,))
            process.start()
            theirs.close()
            for message in ["hello", {"a": 1}, b"bytes"]:
                ours.send(message)
                print(ours.recv())
            ours.send(None)
            try:
                ours.recv()
            except EOFError:
                print("closed")
            process.join()
        """,
    )
    assert end == (0, "['hello', 'and back']\n[{'a': 1}, 'and back']\n[b'bytes', 'and back']\nclosed\n", "")


def test_6_13_tickets_are_never_oversold(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from multiprocessing import Lock, Process, Queue
        import json
        import sys
        import time
        def buy(lock, name, results):
            with lock:
                with open(path) as file:
                    tickets = json.load(file)
                time.sleep(0.005)
                if tickets["left"] > 0:
                    tickets["left"] -= 1
                    with open(path, "w") as file:
                        json.dump(tickets, file)
                    results.put("bought")
                else:
                    results.put("sold out")
        path = __file__ + ".json"
        if __name__ == "__main__":
            with open(path, "w") as file:
                json.dump({"left": 3}, file)
            lock, results = Lock(), Queue()
            buyers = [Process(target=buy, args=(lock, name, results)) for name in range(8)]
            for buyer in buyers:
                buyer.start()
            told = sorted(results.get() for _ in buyers)
            for buyer in buyers:
                buyer.join()
            with open(path) as file:
                print(told.count("bought"), told.count("sold out"), json.load(file))
        """,
    )
    assert end == (0, "3 5 {'left': 0}\n", "")


def test_6_14_shared_memory(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from multiprocessing import Array, Manager, Process, Value
        from multiprocessing.shared_memory import SharedMemory
        def change(value, array, shared, name):
            for _ in range(100):
                with value.get_lock():
                    value.value += 1
            array[0] = -1.5
            shared["child"] = [1, 2]
            memory = SharedMemory(name)
            memory.buf[:5] = b"hello"
            memory.close()
        if __name__ == "__main__":
            value, array, memory = Value("i", 0), Array("d", 3), SharedMemory(create=True, size=16)
            with Manager() as manager:
                shared = manager.dict()
                children = [Process(target=change, args=(value, array, shared, memory.name)) for _ in range(3)]
                for child in children:
                    child.start()
                for child in children:
                    child.join()
                print(value.value, array[:], dict(shared), bytes(memory.buf[:5]))
            memory.close()
            memory.unlink()
        """,
    )
    assert end == (0, "300 [-1.5, 0.0, 0.0] {'child': [1, 2]} b'hello'\n", "")


def test_6_15_spawn_imports_the_main_module_and_does_not_run_it(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import multiprocessing
        import os
        import sys
        print("imported as", __name__, os.path.basename(__file__), flush=True)
        def work(queue):
            queue.put((__name__, sys.modules["__main__"].__file__ == __file__, sys.argv[1:]))
        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            process = context.Process(target=work, args=(queue,))
            process.start()
            print(queue.get())
            process.join()
        """,
    )
    assert end == (0, "imported as __main__ program.py\nimported as __mp_main__ program.py\n('__mp_main__', True, [])\n", "")


def test_6_15_without_the_guard(tmp_path):
    source = """
        import multiprocessing
        process = multiprocessing.get_context("spawn").Process(target=print)
        process.start()
        process.join()
        print(process.exitcode)
        """
    for way in programs.WAYS:
        done = programs.run_as(way, tmp_path, source)
        assert (done.returncode, done.stdout) == (0, "1\n") and "An attempt has been made to start a new process before the" in done.stderr


def test_6_17_a_child_may_outlive_its_parent(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        import threading
        import os
        import time
        reader, writer = os.pipe()
        parent = os.getpid()
        if os.fork() == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent ends: its descriptors are closed a moment before it is nobody's parent
            while os.getppid() == parent:
                time.sleep(0.001)
            print("child", os.getppid() != parent, flush=True)
            os._exit(0)
        print("parent", flush=True)
        """,
    )
    assert end == (0, "parent\nchild True\n", "")


def test_6_18_a_child_that_prints_and_exits(tmp_path):
    end = programs.same_in_each_way(
        tmp_path,
        """
        from multiprocessing import Process
        import os
        import sys
        def leave(how):
            sys.stdout.write(f"not flushed before {how.__name__}\\n")
            how(7)
        if __name__ == "__main__":
            for how in (sys.exit, os._exit):
                process = Process(target=leave, args=(how,))
                process.start()
                process.join()
                print(process.exitcode, flush=True)
        """,
    )
    assert end == (0, "not flushed before exit\n7\n7\n", "")


def test_6_the_programs_spell_it_with_plaits_modules():
    changed = programs.spelled("mirror", "import multiprocessing\nfrom multiprocessing import Pool\nfrom multiprocessing.shared_memory import SharedMemory\n")
    assert changed == "from plait import multiprocessing\nfrom plait.multiprocessing import Pool\nfrom plait.multiprocessing.shared_memory import SharedMemory\n"
