"""Run one of CPython's test modules in this process, and note each outcome as it happens.

A process for each module, because a crash or a hang then fails one module, and because the suites leave policies, child
watchers and threads behind. The notes (report.py) are written as things happen: what a module had done before it
crashed is known, and so is the test that it died in. Reading unittest's text output was rejected: the suites print into
it.

    python worker.py MODULE REPORT [--stock] [--quick] [--listed] [-k NAME]… [--time-limit SECONDS]
"""

import argparse
import collections
import faulthandler
import fnmatch
import importlib
import resource
import signal
import unittest

import selection
from report import Report

# A test that spins on a mock grows without bound, since a mock records its calls.
ADDRESS_SPACE = 6 << 30


class NotingResult(unittest.TextTestResult):
    """unittest's own progress, and one outcome for each test, the worst that was reported for it."""

    SEVERITY = ("passed", "skipped", "failed")

    report: Report  # both set by `run`, since unittest makes the result itself
    natives_tested = staticmethod(lambda test: set())

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.natives: set[str] = set()
        self.outcome, self.reason = None, ""

    def startTest(self, test):
        self.report.note("started", id=selection.short_id(test.id()))
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        self.natives |= self.natives_tested(test)
        # A test without an outcome has lost it somewhere: that is not a pass.
        outcome = self.outcome or "failed"
        self.report.note("outcome", id=selection.short_id(test.id()), outcome=outcome, reason=self.reason)
        # Not in startTest: on Python 3.12.1 a test whose class is skipped is stopped without having been started.
        self.outcome, self.reason = None, ""

    def settle(self, test, outcome: str, reason: str = "") -> None:
        if not isinstance(test, unittest.TestCase):
            # setUpClass or setUpModule, which has neither start nor stop
            self.report.note("fixture", id=test.id(), outcome=outcome, reason=reason)
        elif self.outcome is None or self.SEVERITY.index(outcome) > self.SEVERITY.index(self.outcome):
            self.outcome, self.reason = outcome, reason

    def addSuccess(self, test):
        super().addSuccess(test)
        self.settle(test, "passed")

    def addError(self, test, err):
        super().addError(test, err)
        self.settle(test, "failed")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.settle(test, "failed")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.settle(test, "failed")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.settle(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.settle(test, "passed")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.settle(test, "failed")


def each_test(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from each_test(item)
        else:
            yield item


def matches(test_id: str, names: list[str]) -> bool:
    return not names or any(fnmatch.fnmatchcase(test_id, name if "*" in name else f"*{name}*") for name in names)


def choose(tests, options, report: Report) -> unittest.TestSuite:
    """Take the tests that are to run; note those that are not, with the reason."""
    skips, later = selection.read_list("skips.txt"), selection.read_list("later.txt")
    report_stale_lines(tests, options.module, {**skips, **later}, report)
    chosen, left_out = unittest.TestSuite(), collections.Counter()
    for test in tests:
        name = selection.short_id(test.id())
        test_class = selection.class_of(name)
        listed = name in skips or name in later
        if not matches(name, options.names) or options.quick and selection.NOT_QUICK & {name, test_class}:
            continue
        if test_class in selection.LEFT_OUT:
            left_out[test_class] += 1
        elif options.listed:
            if listed:
                chosen.addTest(test)
        elif listed and not options.stock:
            report.note("listed", id=name, list="skips.txt" if name in skips else "later.txt")
        else:
            chosen.addTest(test)
    report.note("plan", tests=chosen.countTestCases(), left_out=left_out)
    return chosen


def report_stale_lines(tests, module: str, listed: dict, report: Report) -> None:
    existing = {selection.short_id(test.id()) for test in tests}
    for name in listed:
        if name.startswith(module + ".") and name not in existing:
            report.note("stale", id=name)


def confine(time_limit: float) -> None:
    """Give the suites the surroundings they expect, and bounds to what they may take."""
    # A process started in the background of a shell ignores SIGINT; the suites interrupt themselves with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, resource.getrlimit(resource.RLIMIT_AS)[1]))
    faulthandler.enable()
    faulthandler.dump_traceback_later(time_limit, exit=True)

    from test import support

    support.use_resources = []  # as in a plain run of CPython's own test runner: loopback only


def run(options, report: Report) -> None:
    entry = selection.find(options.module)
    if not options.stock:
        import patches

        patches.before_import(report)
    module = importlib.import_module(f"{entry.package}.{entry.name}")
    if not options.stock:
        patches.after_import(module)
        NotingResult.natives_tested = staticmethod(patches.natives_tested)
    tests = list(each_test(unittest.defaultTestLoader.loadTestsFromModule(module)))
    chosen = choose(tests, options, report)
    if not chosen.countTestCases():
        return
    NotingResult.report = report
    result = unittest.TextTestRunner(resultclass=NotingResult, verbosity=1 + options.verbose).run(chosen)
    if not options.stock and not options.names and not options.listed:
        for fault in patches.check_that_plait_ran(entry, result.natives, report):
            report.note("hollow", reason=fault)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("report", type=Report)
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--listed", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("-k", dest="names", action="append", default=[])
    parser.add_argument("--time-limit", type=float, default=300)
    options = parser.parse_args()
    confine(options.time_limit)
    run(options, options.report)
    options.report.note("end")


if __name__ == "__main__":
    main()  # the time limit stays armed, for threads that would keep the process from ending
