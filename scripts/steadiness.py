"""What becomes of tests that have failed once: who runs tests asks here.

Among fifteen thousand tests of threads, processes, signals and sockets, on a machine that others use too, one may fail that is itself at fault: it lost a race that it should not have
entered, or it measured while the machine did other things. Such a failure must be seen, but it does not say that plait is broken. So if only a few tests have failed they are run again, by
themselves, several times. Those that pass in most of these are printed as unsteady, with how often they passed, and count as passed; each of them is to be mended. What fails again as often
has failed. What ends the interpreter, or hangs, is not for here: it is never an accident.
"""

from collections.abc import Callable, Iterable

# More than this are no accident.
FEW = 12
TIMES = 5
MOST = 3


def failed_again(failed: Iterable[str], run: Callable[[list[str]], set[str]]) -> list[str]:
    """Which of these failed tests have failed for good.

    Args:
        failed: the names of tests that failed.
        run: runs tests by their names, and returns those that failed.
    """
    passed = dict.fromkeys(sorted(failed), 0)
    if len(passed) > FEW:
        return list(passed)
    for _ in range(TIMES):
        left = [name for name, times in passed.items() if times < MOST]
        if not left:
            break
        print(f"again, by themselves: {', '.join(left)}", flush=True)
        failures = run(left)
        for name in left:
            passed[name] += name not in failures
    for name, times in passed.items():
        print(f"{'unsteady' if times == MOST else 'failed again'}: {name} failed, and passed {times} times by itself", flush=True)
    return [name for name, times in passed.items() if times < MOST]
