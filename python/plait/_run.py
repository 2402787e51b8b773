"""``plait run``: a program runs as ``python`` would run it, on plait.

The program must not be able to tell: the module that runs is the real ``__main__`` in ``sys.modules`` (so that pickle,
multiprocessing, inspect and pdb find it), ``sys.argv`` and ``sys.path[0]`` are what python would have set, and it ends with the same
text on stderr and the same exit status. It runs in this very process, inside the frames of the command line: they
are taken off a traceback before it is shown, but ``traceback.print_stack()`` still sees them.

Rejected: `runpy.run_path`, which runs the program in a temporary module and gives back the old ``__main__`` (spawned
children and threads that outlive the script then find the wrong one); a second interpreter with a ``sitecustomize``
(twice the start-up time, and it hides the user's own). For modules, directories and zip files python itself goes
through runpy's ``_run_module_as_main``, whose lines are part of its tracebacks, and so does this file.
"""

import builtins
import importlib.machinery
import io
import os
import runpy
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from plait._install import install
from plait._switch import debug, watchdog, watchdog_by_default

_run_module_as_main: Callable[..., object] = vars(runpy)["_run_module_as_main"]  # what the interpreter itself calls for -m

_USAGE = "usage: plait run [--debug] [--watchdog SECONDS] [--workers N] [script | directory | zipfile | - | -m module | -c code] [argument ...]"
_HELP = f"""{_USAGE}

Run an unmodified program on plait, as python would run it: the same sys.argv,
sys.path, __main__, tracebacks and exit status.

  script               a file of Python source (or a .pyc file)
  directory, zipfile   its __main__.py
  -                    source read from standard input
  -m module            a module, or a package's __main__, found on sys.path
  -c code              a string of source
  --debug              explain deadlocks among locks on stderr, and log them
                       (slower; asyncio's own debug mode is another thing)
  --watchdog SECONDS   report what holds a loop for longer (0.1; off: do not)
  --workers N          run it in N processes that share their listening sockets
                       and are supervised: SIGHUP reloads, SIGTERM ends
  --                   ends plait's own options: what follows is the script
  argument ...         the program's own sys.argv[1:]

With --workers:
  --sharing HOW        one socket for all (inherit), or one for each (reuseport)
  --deadline SECONDS   to finish what is in flight when a worker ends (30)
  --linger SECONDS     in which a worker that was replaced serves what it has
                       accepted before it is told to end (1)
  --start-timeout SECONDS, --liveness SECONDS
                       kill a worker that is not ready by then (60); one whose
                       loop is stuck for so long (30; off: do not)
  --max-requests N, --max-memory MIB, --jitter FRACTION
                       replace a worker after so many requests, or when it has so
                       much memory; more or less by that fraction (0.1)

Options of the interpreter go to the interpreter (python -X dev -m plait run
app.py) or by the environment (PYTHONDEVMODE=1 plait run app.py).
PLAIT_DISABLE=1 runs the program without plait; PLAIT_DEBUG=1 is --debug;
PLAIT_WATCHDOG=SECONDS (or off) is --watchdog.
"""


def main(argv: Sequence[str]) -> int:
    """Carry out ``plait run``.

    Args:
        argv: the arguments after the word ``run``.

    Returns:
        0 when the program ran to its end, 2 when the command line is not understood or the script cannot be opened.

    Raises:
        SystemExit: the program's own, or with status 1 after an exception that was not caught, which is reported.
        KeyboardInterrupt: Ctrl-C that the program did not catch; already reported, it is left to end the process by
            SIGINT as python does.
    """
    first, rest = (argv[0], list(argv[1:])) if argv else ("", [])
    workers: dict[str, Any] = {}
    while first == "--debug" or first.partition("=")[0] == "--watchdog" or _is_about_workers(first):
        if first == "--debug":
            debug()
        elif first.partition("=")[0] != "--watchdog":
            problem, rest = _take_about_workers(workers, first, rest)
            if problem:
                return _misused(problem)
        else:
            problem, rest = _watch(first, rest)
            if problem:
                return _misused(problem)
        first, rest = (rest[0], rest[1:]) if rest else ("", [])
    if first in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    if workers:
        return _run_workers(workers, [first, *rest])
    if first[:2] in ("-m", "-c"):
        start = _run_module if first[1] == "m" else _run_code
        if first[2:]:
            return start(first[2:], rest)
        if rest:
            return start(rest[0], rest[1:])
        return _misused(f"argument expected for the {first} option")
    if first == "--":
        first, rest = (rest[0], rest[1:]) if rest else ("", [])
    elif first.startswith("-") and first != "-":
        return _misused(f"unknown option {first}")
    if not first:
        return _misused("a script, -m module or -c code is needed")
    return _run_stdin(rest) if first == "-" else _run_path(first, rest)


def _watch(option: str, rest: list[str]) -> tuple[str | None, list[str]]:
    """``--watchdog SECONDS`` or ``--watchdog=SECONDS``: what is wrong with it, and what is left of the line."""
    _, equals, setting = option.partition("=")
    if not equals:
        if not rest:
            return "argument expected for the --watchdog option", rest
        setting, rest = rest[0], rest[1:]
    try:
        watchdog(setting)
    except ValueError:
        return f"{setting!r} is no threshold: a number of seconds from 0.001 to 3600, or off", rest
    os.environ["PLAIT_WATCHDOG"] = setting  # the program's children hear of it too
    return None, rest


def _is_about_workers(word: str) -> bool:
    """Whether it is one of the options that go with --workers, of which most programs have none: what knows them is not imported for those."""
    if not word.startswith("--") or word in ("--", "--help"):
        return False
    from plait._workers import _command

    return _command.is_option(word)


def _take_about_workers(chosen: dict[str, Any], option: str, rest: list[str]) -> tuple[str | None, list[str]]:
    from plait._workers import _command

    return _command.take(chosen, option, rest)


def _run_workers(chosen: dict[str, Any], program: list[str]) -> int:
    """Have the rest of the command line run by workers, each of which understands it as this does."""
    from plait._workers import _command

    try:
        settings = _command.settings(chosen)
    except ValueError as error:
        return _misused(str(error))
    first = program[0]
    if first[:2] in ("-m", "-c"):
        if len(first) == 2 and len(program) == 1:
            return _misused(f"argument expected for the {first} option")
    elif first == "--":
        program = program[1:] or [""]
    elif first.startswith("-") and first != "-":
        return _misused(f"unknown option {first}")
    if not program[0]:
        return _misused("a script, -m module or -c code is needed")
    return _command.main(settings, program)


def _misused(problem: str) -> int:
    print(f"{_USAGE}\nplait run: {problem}", file=sys.stderr)
    return 2


def _run_module(name: str, arguments: list[str]) -> int:
    _become(["-m", *arguments], path0=os.getcwd())
    return _live(lambda: _run_module_as_main(name))


def _run_code(source: str, arguments: list[str]) -> int:
    namespace = _become(["-c", *arguments], path0="")
    if sys.version_info >= (3, 13):  # from here on python shows the lines of such code in tracebacks
        import linecache

        linecache.cache["<string>"] = (len(source), None, source.splitlines(keepends=True), "<string>")
    if sys.version_info >= (3, 14):
        import textwrap

        source = textwrap.dedent(source)
    return _live(lambda: exec(compile(source, "<string>", "exec", dont_inherit=True), namespace))


def _run_stdin(arguments: list[str]) -> int:
    namespace = _become(["-", *arguments], path0="")
    namespace.update(__file__="<stdin>", __cached__=None)
    source = sys.stdin.buffer.read()
    return _live(lambda: exec(compile(source, "<stdin>", "exec", dont_inherit=True), namespace))


def _run_path(script: str, arguments: list[str]) -> int:
    path = _absolute(script)
    if _is_container(path):
        _become([script, *arguments], path0=path, always=True)
        return _live(lambda: _run_module_as_main("__main__", alter_argv=False))
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        problem = f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: {problem}", file=sys.stderr)
        return 2
    loader = importlib.machinery.SourcelessFileLoader if path.endswith(".pyc") else importlib.machinery.SourceFileLoader
    code = _compiled(path, script, source, arguments)
    namespace = _become([script, *arguments], path0=os.path.dirname(os.path.realpath(path)))
    namespace.update(__loader__=loader("__main__", path), __file__=path, __cached__=None)
    return _live(lambda: exec(code, namespace))


def _absolute(script: str) -> str:
    """The path as python writes it in ``__file__``: made absolute, otherwise as it was given."""
    return os.path.join(os.getcwd(), script)


def _is_container(path: str) -> bool:
    """Whether the import system can look into `path`, which python asks to tell a directory or zip from a script."""
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return True
    return False


def _compiled(path: str, script: str, source: bytes, arguments: list[str]) -> types.CodeType:
    """The script's code. One that does not compile is handed to python itself, which says why in its own words.

    The compiler words some errors (an encoding that is unknown or broken, a null byte) by where the source came
    from, and only the interpreter compiles from a file.
    """
    try:
        return _sourceless(path) if path.endswith(".pyc") else _compile_holding_warnings(source, path)
    except (SyntaxError, ValueError, ImportError, EOFError):
        import subprocess

        options: list[str] = vars(subprocess)["_args_from_interpreter_flags"]()
        os.execv(sys.executable, [sys.executable, *options, "--", script, *arguments])


def _compile_holding_warnings(source: bytes, path: str) -> types.CodeType:
    """Compile; show the compiler's warnings only if it succeeds, since otherwise python will show them again."""
    with warnings.catch_warnings(record=True) as held:
        code = compile(source, path, "exec", dont_inherit=True)
    for warning in held:
        warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)
    return code


def _sourceless(path: str) -> types.CodeType:
    code = importlib.machinery.SourcelessFileLoader("__main__", path).get_code("__main__")
    if code is None:
        raise ImportError(f"no code in {path!r}")
    return code


def _become(argv: list[str], *, path0: str, always: bool = False) -> dict[str, object]:
    """Turn this process into the program's, and return the namespace of its new ``__main__``.

    `path0` takes the place of what the interpreter put at the front of ``sys.path`` for plait's own command; in safe
    path mode (``-P``) it put nothing there, and only a container goes there `always`.
    """
    sys.argv = argv
    if not sys.flags.safe_path:
        del sys.path[0]
    if always or not sys.flags.safe_path:
        sys.path.insert(0, path0)
    module = types.ModuleType("__main__")
    namespace = module.__dict__
    namespace["__loader__"] = importlib.machinery.BuiltinImporter
    if sys.version_info < (3, 14):
        namespace["__annotations__"] = {}
    namespace["__builtins__"] = builtins
    sys.modules["__main__"] = module
    return namespace


def _live(program: Callable[[], object]) -> int:
    """Run the program under plait to its end; an exception that it did not catch is reported as python would."""
    install()
    watchdog_by_default()
    error = _uncaught(program)
    if error is None:
        return 0
    # Out of every `except` by now, as the interpreter is: a hook of the user's sees no exception being handled.
    _take_off_own_frames(error)
    _report(error)
    if isinstance(error, KeyboardInterrupt):
        _pass_on_in_silence(error)
    sys.exit(1)


def _uncaught(program: Callable[[], object]) -> BaseException | None:
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        return error
    return None


def _take_off_own_frames(error: BaseException) -> None:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    error.__traceback__ = traceback


def _report(error: BaseException) -> None:
    """What the interpreter does with an uncaught exception: remember it for pdb.pm(), and call ``sys.excepthook``."""
    _remember(error)
    failure = _uncaught(lambda: sys.excepthook(type(error), error, error.__traceback__))
    if failure is not None:
        _take_off_own_frames(failure)
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(failure), failure, failure.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, error.__traceback__)


def _remember(error: BaseException) -> None:
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__


def _pass_on_in_silence(error: KeyboardInterrupt) -> NoReturn:
    """Let the interpreter die of the exception, as only it can (by SIGINT, after its own clean-up), but not report it twice."""
    excepthook, traceback = sys.excepthook, error.__traceback__

    def restore(*_: object) -> None:
        sys.excepthook = excepthook
        _remember(error.with_traceback(traceback))

    sys.excepthook = restore
    raise error
