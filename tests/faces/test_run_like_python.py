"""``plait run`` and ``python`` side by side: the same output, the same errors, the same exit status."""

import py_compile
import zipapp
from pathlib import Path

import pytest
from same_as_python import assert_same

# What a program can see of how it was started.
LOOK_AROUND = """
import sys
print(sys.argv, sys.path, __name__, __file__, __package__, __cached__, __spec__ and (__spec__.name, __spec__.origin))
print(type(__loader__), list(globals()))
print(sys.modules["__main__"].__dict__ is globals(), sys.flags)
"""

SCRIPTS = {
    "prints": (b"print('hello', flush=True)\n", 0),
    "looks around": (LOOK_AROUND.encode(), 0),
    "reads its input": (b"print(input('name? ').upper()); import sys; print(sys.stdin.read())\n", 0),
    "guarded main": (b"def main():\n    print('main')\nif __name__ == '__main__':\n    main()\n", 0),
    "utf-8 source": ("# 生产者\nprint('消费者', 'é')\n".encode(), 0),
    "byte order mark": (b"\xef\xbb\xbfprint('caf\xc3\xa9')\n", 0),
    "coding cookie": ("# -*- coding: gbk -*-\nprint('中文')\n".encode("gbk"), 0),
    "parameter annotations": (b"import pathlib\ndef f(p: pathlib.Path) -> None: ...\nprint(f.__annotations__)\n", 0),
    "module annotations": (b"x: int = 1\nprint(__annotations__)\n", 0),
    "raises": (b"def f():\n    1 / 0\n\nf()\n", 1),
    "raises from": (b"try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e\n", 1),
    "raises a group": (b"raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n", 1),
    "raises with a note": (b"e = ValueError(1)\ne.add_note('n')\nraise e\n", 1),
    "raises in an import": (b"import json\njson.loads('{')\n", 1),
    "misspelt name": (b"first_name = 1\nprint(first_nam)\n", 1),
    "exit 0": (b"import sys; sys.exit()\n", 0),
    "exit 3": (b"import sys; sys.exit(3)\n", 3),
    "exit True": (b"raise SystemExit(True)\n", 1),
    "exit None": (b"raise SystemExit(None)\n", 0),
    "exit with a text": (b"import sys; sys.exit('no such thing')\n", 1),
    "exit with a tuple": (b"raise SystemExit(1, 2)\n", 1),
    "exit 256": (b"import sys; sys.exit(256)\n", 0),
    "exit while handling": (b"try:\n    1 / 0\nfinally:\n    raise SystemExit(4)\n", 4),
    "interrupted": (b"def f():\n    raise KeyboardInterrupt\nf()\n", -2),
    "atexit after an error": (b"import atexit, sys\natexit.register(lambda: print(sys.last_value, sys.excepthook))\n1/0\n", 1),
    "atexit after an interrupt": (
        b"import atexit, sys, traceback\n"
        b"atexit.register(lambda: (print(sys.excepthook), traceback.print_tb(sys.last_traceback)))\n"
        b"raise KeyboardInterrupt\n",
        -2,
    ),
    "threads are joined": (
        b"import threading\n"
        b"def work():\n    threading.main_thread().join()\n    print('after main')\n"
        b"threading.Thread(target=work).start()\n"
        b"print('end of main')\n",
        0,
    ),
    "error in a thread": (b"import threading\nt = threading.Thread(target=lambda: 1 / 0, name='T')\nt.start(); t.join()\n", 0),
    "own excepthook": (b"import sys\nsys.excepthook = lambda *a: print('hook', a[0], sys.exc_info())\n1 / 0\n", 1),
    "excepthook that fails": (b"import sys\ndef hook(*a):\n    raise TypeError('in hook')\nsys.excepthook = hook\n1 / 0\n", 1),
    "excepthook that exits": (b"import sys\nsys.excepthook = lambda *a: sys.exit(5)\n1 / 0\n", 5),
    "destructor at exit": (
        b"import atexit\nclass D:\n    def __del__(self):\n        print('deleted', __name__)\nd = D()\n"
        b"atexit.register(print, 'atexit')\n",
        0,
    ),
    "warning in main": (b"import warnings\nwarnings.warn('old', DeprecationWarning)\n", 0),
    "warning of the compiler": (b"x = 1 is 1\nprint(x)\n", 0),
    "warning, then bad syntax": (b"x = '\\d'\ny = (\n", 1),
    "bad syntax": (b"x = 1\nif x\n    pass\n", 1),
    "bad indentation": (b"if 1:\npass\n", 1),
    "return outside": (b"return 5\n", 1),
    "not utf-8": (b"a = 1\nb = '\xff'\n", 1),
    "unknown coding": (b"# coding: nonsense\n", 1),
    "null byte": (b"a = 1\0\n", 1),
    "source of a class": (b"import inspect\nclass C:\n    x = 1\nprint(inspect.getsource(C))\n", 0),
    "debugger": (b"x = 41\nbreakpoint()\nprint(x + 1)\n", 0),
    "pickle of its own class": (
        b"import pickle\nfrom dataclasses import dataclass\n"
        b"@dataclass\nclass P:\n    x: int\n    y: int = 2\n"
        b"print(pickle.loads(pickle.dumps(P(1))), pickle.dumps(P(1)))\n",
        0,
    ),
    "globals in threads": (
        b"import threading\nlocal_data = threading.local()\nseen = []\n"
        b"def work(n):\n    local_data.n = n\n    seen.append(local_data.n)\n"
        b"ts = [threading.Thread(target=work, args=(i,)) for i in range(3)]\n"
        b"[t.start() for t in ts]; [t.join() for t in ts]; print(sorted(seen))\n",
        0,
    ),
}
STDIN = {"reads its input": "é second\nrest\n".encode(), "debugger": b"p x\nx = 1\nc\n"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str, tmp_path: Path) -> None:
    source, status = SCRIPTS[name]
    (tmp_path / "script.py").write_bytes(source)
    same = assert_same("script.py", "--flag", "-m", "é", cwd=tmp_path, stdin=STDIN.get(name, b""))
    assert same.status == status


@pytest.mark.parametrize("spelling", ["./sub/script.py", "sub/../sub/script.py", "link.py"])
def test_path_of_a_script(spelling: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "script.py").write_text(LOOK_AROUND + "import beside\n")
    (tmp_path / "sub" / "beside.py").write_text("print(__name__, __file__)\n")
    (tmp_path / "link.py").symlink_to("sub/script.py")
    assert assert_same(spelling, cwd=tmp_path).status == 0


def test_absolute_path_and_double_dash(tmp_path: Path) -> None:
    (tmp_path / "-script.py").write_text(LOOK_AROUND)
    assert assert_same(str(tmp_path / "-script.py"), "a", cwd=Path("/")).status == 0
    assert assert_same("--", "-script.py", "--", "a", cwd=tmp_path).status == 0


@pytest.mark.parametrize("options", [("-P",), ("-X", "dev"), ("-W", "error"), ("-O",), ("-B", "-u")])
def test_flags_of_the_interpreter(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(LOOK_AROUND + "assert False, 'not optimised'\n")
    assert_same("script.py", cwd=tmp_path, options=options)
    (tmp_path / "bad.py").write_text("x = (\n")
    assert assert_same("bad.py", cwd=tmp_path, options=options).status == 1


def test_safe_path_by_environment(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(LOOK_AROUND)
    assert assert_same("script.py", cwd=tmp_path, PYTHONSAFEPATH="1").status == 0


@pytest.mark.parametrize("source", ["print(__name__)\nimport sys; print(sys.argv, sys.path)\n", "def f():\n  1/0\nf()", "x = ("])
def test_standard_input(source: str, tmp_path: Path) -> None:
    assert_same("-", "a", "-b", cwd=tmp_path, stdin=source.encode())


@pytest.mark.parametrize(
    "source",
    ["import sys; print(sys.argv, sys.path, list(globals()), __loader__)", "def f():\n    1 / 0\nf()", "x = (", "import sys; sys.exit(7)"],
)
def test_code_on_the_command_line(source: str, tmp_path: Path) -> None:
    assert_same("-c", source, "a", "-b", cwd=tmp_path)
    assert_same(f"-c{source}", cwd=tmp_path)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.pyc").write_bytes(b"not code at all, to be sure")
    assert assert_same("missing.py", cwd=tmp_path).status == 2
    assert assert_same("empty", cwd=tmp_path).status == 1
    assert assert_same("broken.pyc", cwd=tmp_path).status == 1
    assert assert_same("-m", "no_such_module", cwd=tmp_path).status == 1
    assert assert_same("-m", "empty", cwd=tmp_path).status == 1


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("import sys\nprint('package', sys.argv)\n")
    (package / "__main__.py").write_text(LOOK_AROUND + "from . import part\n")
    (package / "part.py").write_text(LOOK_AROUND + "if __name__ == '__main__':\n    1 / 0\n")
    return tmp_path


def test_modules_and_packages(package: Path) -> None:
    assert assert_same("-m", "pack", "a", "--b", cwd=package).status == 0
    assert assert_same("-mpack", "-c", cwd=package).status == 0
    assert assert_same("-m", "pack.part", cwd=package).status == 1
    assert assert_same("-m", "pack.missing", cwd=package).status == 1
    assert assert_same("-m", "pack", cwd=package, options=("-P",)).status == 1


def test_directory_and_zip(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.mkdir()
    (program / "__main__.py").write_text(LOOK_AROUND + "import helper\nhelper.fail()\n")
    (program / "helper.py").write_text("def fail():\n    raise ValueError('from inside')\n")
    zipapp.create_archive(program, tmp_path / "program.pyz")
    for container in ("program", "program.pyz"):
        assert assert_same(container, "a", cwd=tmp_path).status == 1
        assert assert_same(container, cwd=tmp_path, options=("-P",)).status == 1


def test_compiled_file(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(LOOK_AROUND)
    py_compile.compile(str(tmp_path / "script.py"), cfile=str(tmp_path / "script.pyc"))
    assert assert_same("script.pyc", "a", cwd=tmp_path).status == 0


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_text_whatever_the_locale(locale: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('线程', 'é')\n", encoding="utf-8")
    assert assert_same("script.py", cwd=tmp_path, LC_ALL=locale).status == 0


def test_a_script_named_like_an_option_of_ours(tmp_path: Path) -> None:
    """`run`'s own options end at the script: what follows is the script's, --help included."""
    (tmp_path / "script.py").write_text("import sys; print(sys.argv)\n")
    assert b"--help" in assert_same("script.py", "--help", "-m", "-h", cwd=tmp_path).stdout
