"""``from plait import multiprocessing``: the names, the modules, the contexts, and the start method that is one for the program."""

import importlib
import multiprocessing as standard
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import plait
import pytest
from plait import multiprocessing as mirror
from plait.multiprocessing._factories import NAMES

METHODS = ["fork", "spawn", "forkserver", "zygote"]
SAME = ["connection", "forkserver", "heap", "managers", "process", "reduction", "resource_sharer", "resource_tracker", "shared_memory", "spawn", "util", "dummy", "dummy.connection"]
LIMIT = 60


def test_every_name_of_the_standard_package():
    assert set(standard.__all__) < set(mirror.__all__)
    namespace = {}
    exec("from plait.multiprocessing import *", namespace)
    assert set(standard.__all__) < set(namespace)
    assert set(dir(standard)) <= set(dir(mirror))
    assert mirror.Process is standard.Process and mirror.TimeoutError is standard.TimeoutError and mirror.SUBDEBUG == 5
    assert plait.multiprocessing is mirror


@pytest.mark.parametrize("name", SAME)
def test_modules_of_which_plait_has_none_are_the_standard_ones(name):
    assert importlib.import_module(f"plait.multiprocessing.{name}") is importlib.import_module(f"multiprocessing.{name}")


@pytest.mark.parametrize("name", ["context", "pool", "queues", "sharedctypes", "synchronize"])
def test_modules_of_plaits_own_have_the_rest_of_the_standard_ones(name):
    ours, theirs = importlib.import_module(f"plait.multiprocessing.{name}"), importlib.import_module(f"multiprocessing.{name}")
    assert ours is not theirs
    for each in [*getattr(theirs, "__all__", ()), *(name for name, value in vars(theirs).items() if getattr(value, "__module__", None) == theirs.__name__)]:
        assert hasattr(ours, each), each


@pytest.mark.parametrize("name", ["context", "pool", "queues", "sharedctypes", "synchronize"])
def test_modules_are_found_in_the_package(name):
    """Also where the standard ones were imported before."""
    program = (
        f"import multiprocessing.{name} as theirs\nfrom plait.multiprocessing import {name} as ours\n"
        f"import plait.multiprocessing as package\nassert ours is package.{name} is not theirs and ours.__name__ == 'plait.multiprocessing.{name}'"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("method", METHODS)
def test_contexts_are_the_standard_ones_with_other_factories(method):
    context = mirror.get_context(method)
    assert isinstance(context, standard.context.BaseContext) and context.get_start_method() == method
    assert context.get_context() is context and context.get_context("spawn") is mirror.get_context("spawn")
    if method != "zygote":
        assert type(context).__mro__.count(type(standard.get_context(method))) == 1 and context.Process is standard.get_context(method).Process
    with pytest.raises(ValueError, match="cannot find context for 'nothing'"):
        context.get_context("nothing")
    with pytest.raises(ValueError, match="cannot set start method of concrete context"):
        context.set_start_method("spawn")


def made_by(context):
    made = {name: getattr(context, name)() for name in NAMES if name not in ("Barrier", "Pool")}
    made["Barrier"] = context.Barrier(2)
    with context.Pool(1) as made["Pool"]:
        pass
    made["Pool"].join()
    return made


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_what_contexts_make_is_plaits(method):
    homes = dict.fromkeys(NAMES, "synchronize") | dict.fromkeys(["Queue", "JoinableQueue", "SimpleQueue"], "queues") | {"Pool": "pool"}
    made = made_by(mirror.get_context(method))
    assert set(made) == set(NAMES)
    for name, each in made.items():
        home = importlib.import_module(f"plait.multiprocessing.{homes[name]}")
        assert type(each) is getattr(home, name), name


def test_the_package_makes_what_its_default_context_makes():
    for name, each in made_by(mirror).items():
        assert type(each) is type(made_by(mirror.get_context())[name]) if name != "Pool" else True


def test_values_and_arrays_are_guarded_by_plaits_lock():
    lock = type(mirror.RLock())
    for made in (mirror.Value("i", 3), mirror.Array("i", 3), mirror.sharedctypes.Value("i", 3), mirror.sharedctypes.Array("i", 3), mirror.get_context("spawn").Value("i", 3)):
        assert type(made.get_lock()) is lock
    assert mirror.Value("i", 3, lock=False).value == 3 and mirror.RawArray("i", 3)[:] == [0, 0, 0]
    with pytest.raises(AttributeError, match="has no method 'acquire'"):
        mirror.Value("i", lock=3)


def add(value, times):
    for _ in range(times):
        with value.get_lock():
            value.value += 1


@pytest.mark.parametrize("method", METHODS)
def test_a_value_that_processes_share(method):
    context = mirror.get_context(method)
    value = context.Value("i", 0)
    processes = [context.Process(target=add, args=(value, 500)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT)
    assert ([process.exitcode for process in processes], value.value) == ([0, 0, 0], 1500)


PROGRAM = """
import sys
from plait import multiprocessing as mirror
import multiprocessing as standard

def tell(start):
    print(start, mirror.get_start_method(), standard.get_start_method(), flush=True)

if __name__ == "__main__":
    print(mirror.get_start_method(allow_none=True), standard.get_start_method(allow_none=True), mirror.get_all_start_methods(), flush=True)
    getattr(sys.modules[__name__], sys.argv[1]).set_start_method(sys.argv[2])
    for start in (mirror.Process, standard.Process, mirror.get_context("spawn").Process, mirror.get_context("zygote").Process):
        process = start(target=tell, args=(start.__name__,))
        process.start()
        process.join()
    try:
        mirror.set_start_method("fork")
    except RuntimeError as error:
        print(error)
    mirror.set_start_method(None, force=True)
    print(standard.get_start_method(allow_none=True))
"""


@pytest.mark.parametrize("by", ["mirror", "standard"])
@pytest.mark.parametrize("method", METHODS)
def test_the_start_method_is_one_for_the_program(tmp_path, method, by):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run([sys.executable, script, by, method], capture_output=True, text=True, timeout=LIMIT)
    default = standard.get_context().get_start_method()
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].startswith(f"None None ['{default}'") and lines[0].endswith("'zygote']")
    assert lines[1:] == [
        f"Process {method} {method}",
        f"Process {method} {method}",
        "SpawnProcess spawn spawn",
        "ZygoteProcess zygote zygote",
        "context has already been set",
        "None",
    ]


def test_importing_it_replaces_nothing():
    program = (
        "import multiprocessing as m, multiprocessing.spawn, multiprocessing.synchronize, multiprocessing.queues, multiprocessing.pool\n"
        "places = [m, m.context, m.context.BaseContext, m.context.DefaultContext, m.spawn, m.process, m.process.BaseProcess, m.queues, m.synchronize, m.pool]\n"
        "before = [dict(vars(place)) for place in places]\n"
        "import plait.multiprocessing\n"
        "assert all(vars(place)[name] is value for place, names in zip(places, before) for name, value in names.items())\n"
        "print(sorted(m.context._concrete_contexts))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT)
    assert (done.stdout, done.stderr) == ("['fork', 'forkserver', 'spawn', 'zygote']\n", "")


def test_importing_plait_does_not_import_it():
    program = "import sys, plait; before = 'multiprocessing' in sys.modules; plait.multiprocessing; print(before, 'multiprocessing' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT)
    assert (done.stdout, done.stderr) == ("False True\n", "")


def test_each_file_of_the_package_has_a_standard_counterpart():
    here = Path(mirror.__file__).parent
    names = [path.stem for path in here.glob("*.py") if not path.stem.startswith("_")]
    assert names and all(find_spec(f"multiprocessing.{name}") for name in names)
