"""Long buffers cross in shared memory, are private to who gets them, and their memory is used again when nobody has them any more."""

import os
import gc
import signal
from pathlib import Path

import pytest
from pool_tasks import LIMIT

from plait.concurrent.futures import ProcessPoolExecutor

numpy = pytest.importorskip("numpy")

LONG = 1 << 20


def segments() -> int:
    """How many this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += "plait-segment" in os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass
    return found


def double(array):
    array *= 2
    return array


def is_mapped(array) -> bool:
    return "plait-segment" in Path("/proc/self/maps").read_text() and bool(array.flags.writeable)


def spoil_and_die(array, path):
    spoiled = bool(array[0])
    array[:] = 1
    if not os.path.exists(path):
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return spoiled


@pytest.mark.parametrize("size", [10, 1_000, 70_000, LONG, 3 * LONG])
def test_arrays_cross_both_ways(pool, size):
    array = numpy.arange(size, dtype=float)
    for _ in range(3):
        result = pool.submit(double, array).result(LIMIT)
        assert (result == array * 2).all() and result.flags.writeable
        result += 1
    assert array[-1] == size - 1


def test_an_argument_is_a_mapping_of_the_segment(forked):
    assert forked.submit(is_mapped, numpy.zeros(LONG)).result(LIMIT)


def test_warm_segments_are_used_again(fork):
    array = numpy.ones(LONG)
    with ProcessPoolExecutor(1, fork) as executor:
        for _ in range(20):
            assert executor.submit(numpy.sum, array).result(LIMIT) == LONG
        assert segments() == 1


def test_results_that_are_kept_keep_their_values(fork):
    with ProcessPoolExecutor(1, fork) as executor:
        kept = [executor.submit(numpy.full, LONG, number).result(LIMIT) for number in range(40)]
        for number, array in enumerate(kept):
            assert (array == number).all()
        # Those that found no place in the table crossed in memory that was used once.
        assert segments() <= 16
        del kept, array
        gc.collect()
        assert executor.submit(numpy.full, LONG, 5).result(LIMIT).sum() == 5 * LONG


def test_a_retry_does_not_see_what_its_predecessor_changed(fork, tmp_path):
    with ProcessPoolExecutor(1, fork, retries=1) as executor:
        assert executor.submit(spoil_and_die, numpy.zeros(LONG), str(tmp_path / "died")).result(LIMIT) is False
        assert executor.stats().restarts == 1


def test_a_result_outlives_its_worker_and_its_pool(fork):
    with ProcessPoolExecutor(1, fork) as executor:
        result = executor.submit(numpy.full, LONG, 7.0).result(LIMIT)
    assert result.sum() == 7 * LONG


def test_a_childs_copy_of_a_result_stays_as_it_was(fork):
    with ProcessPoolExecutor(1, fork) as executor:
        result = executor.submit(numpy.full, LONG, 7.0).result(LIMIT)
        reader, writer = os.pipe()
        go_reader, go_writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(go_reader, 1)
            os.write(writer, b"same" if (result == 7).all() else b"else")
            os._exit(0)
        del result
        # Its segment would be the next result's, if the lease had ended.
        for _ in range(5):
            executor.submit(numpy.full, LONG, 8.0).result(LIMIT)
        os.write(go_writer, b"x")
        assert os.read(reader, 4) == b"same"
        os.waitpid(child, 0)
        for descriptor in (reader, writer, go_reader, go_writer):
            os.close(descriptor)


def test_many_arrays_in_one_call(forked):
    arrays = [numpy.full(10_000 + number, number) for number in range(40)]
    result = forked.submit(list, arrays).result(LIMIT)
    assert all((theirs == ours).all() for theirs, ours in zip(result, arrays, strict=True))


def test_long_bytes_and_strings(forked):
    text = "plait" * 400_000
    assert forked.submit(str.upper, text).result(LIMIT) == text.upper()
    data = bytearray(os.urandom(3 << 20))
    assert forked.submit(bytes, data).result(LIMIT) == data
    assert forked.submit(len, [b"x" * 1_000] * 3_000).result(LIMIT) == 3_000


def test_strided_and_read_only_arrays(forked):
    array = numpy.arange(4 * LONG).reshape(2048, -1)
    assert (forked.submit(double, array[:, ::2]).result(LIMIT) == array[:, ::2] * 2).all()
    array.flags.writeable = False
    assert forked.submit(is_mapped, array).result(LIMIT) is False
