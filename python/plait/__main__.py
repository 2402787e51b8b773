"""The command line: ``plait`` and ``python -m plait``.

``run``, ``gil`` and ``bench`` take the rest of the line as it is (a script's options are the script's own), so they are passed on
before argparse sees them. argparse is imported only when it is needed: ``plait run`` should add as little as it can
to the start of a program.
"""

import sys
from collections.abc import Sequence

from plait import _run

_DESCRIPTION = "One Rust runtime for every kind of Python concurrency: a drop-in for asyncio."
_EPILOG = """\
examples:
  plait run app.py --port 8000     run an unmodified program on plait
  plait run -m package.module      the same for a module
  plait run --workers 4 app.py     the same in four processes that share its ports
  plait gil --why app.py           who holds the GIL meanwhile, and what to do about it
  plait bench --list               what the benchmark measures

environment:
  PLAIT_DISABLE=1                  run programs without plait
  PLAIT_WATCHDOG=0.1               report what holds a loop for longer (seconds, or off)
  PLAIT_DEBUG=1                    explain deadlocks, as `plait run --debug` does

`plait run --help`, `plait gil --help` and `plait bench --help` tell more.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line.

    Args:
        argv: the arguments after the program's name; None takes them from ``sys.argv``.

    Returns:
        The exit status: 0 when all went well, 2 when the command line is not understood. ``run`` may also raise
        SystemExit or KeyboardInterrupt, as the program that it ran did.

    ``run`` turns this process into the program's (``sys.argv``, ``sys.path``, ``__main__``), so it is to be called
    from the main thread, once.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["run"]:
        return _run.main(arguments[1:])
    if arguments[:1] == ["gil"]:
        from plait import _gil_command

        return _gil_command.main(arguments[1:])
    if arguments[:1] == ["bench"]:
        from plait import bench

        return bench.main(arguments[1:])
    return _version_or_help(arguments)


def _version_or_help(arguments: list[str]) -> int:
    import argparse

    parser = argparse.ArgumentParser(
        prog="plait", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="store_true", help="the same as the command version")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("run", help="run a script, module or string on plait, as python would", add_help=False)
    commands.add_parser("gil", help="run a program and show who holds the GIL, who waits for it, and where", add_help=False)
    commands.add_parser("bench", help="measure plait's loop against its peers", add_help=False)
    commands.add_parser("version", help="say which plait and which Python this is")
    chosen = parser.parse_args(arguments)
    if chosen.version or chosen.command == "version":
        print(_version())
        return 0
    parser.print_help(sys.stderr)
    return 2


def _version() -> str:
    import platform

    from plait import __version__

    return f"plait {__version__} ({platform.python_implementation()} {platform.python_version()})"


if __name__ == "__main__":
    sys.exit(main())
