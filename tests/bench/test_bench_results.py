"""Plan and order, medians and shares and verdicts, and how they are shown."""

import pytest
from benching import COLUMNS, everything, results

from plait import bench
from plait.bench import plan as planning
from plait.bench import table
from plait.bench.plan import Plan
from plait.bench.processes.columns import LOOPS
from plait.bench.processes.workloads import GROUPS, WORKLOADS
from plait.bench.targets import TARGETS
from plait.bench.units import measure_of, number, rate, share, time, unit_for
from plait.bench.verdict import in_words, number_of_targets


class TestThePlan:
    def test_every_column_runs_once_a_round_and_takes_each_place_in_turn(self):
        plan = Plan(("call_soon",), ("plait", "asyncio", "uvloop"), 3, 1.0, 1)
        steps = list(plan.steps())
        assert len(steps) == plan.runs == len(set(steps)) == 9
        orders = [[column for _, round_, column in steps if round_ == wanted] for wanted in range(3)]
        assert [set(place) for place in zip(*orders, strict=True)] == [set(plan.columns)] * 3

    def test_workloads_one_after_the_other_and_rounds_within_them(self):
        plan = Plan(("sleep0", "gather"), ("plait", "asyncio"), 2, 1.0, 1)
        assert [(name, round_) for name, round_, _ in plan.steps()][::2] == [
            ("sleep0", 0), ("sleep0", 1), ("gather", 0), ("gather", 1),
        ]  # fmt: skip

    def test_references_are_measured_where_they_say_something(self):
        plan = Plan(tuple(WORKLOADS), COLUMNS, 1, 1.0, 1)
        with_references = [name for name in WORKLOADS if "epoll" in plan.columns_of(name)]
        echoes = [name for name in WORKLOADS if name.startswith("echo_protocol_")]
        others = ["unix_echo_1k_8", "connections", "udp_echo_1k_8", "udp_flood", "sendfile", "stream_drain"]
        assert with_references == [*echoes, *others]
        # The bare server on io_uring is one for TCP.
        assert [n for n in with_references if "io_uring" in plan.columns_of(n)] == [*echoes, "connections"]

    def test_peers_are_measured_where_they_say_something(self):
        plan = Plan(tuple(WORKLOADS), COLUMNS, 1, 1.0, 1)
        assert plan.columns_of("gather") == plan.columns_of("asyncio_queue") == LOOPS
        assert plan.columns_of("queue") == ("plait", "standard")
        assert plan.columns_of("bridge_flow") == ("plait", "janus", "culsans")
        assert plan.columns_of("pool_map") == ("plait", "standard", "Pool", "loky")
        assert plan.columns_of("small_files") == ("plait", "aiofiles", "aiofile", "anyio", "open")

    def test_a_peer_that_is_measured_with_none_of_the_workloads_judges_nothing(self):
        assert Plan(("queue",), ("plait", "asyncio"), 1, 1.0, 1).remarks() == [
            "no peer was measured: nothing can be judged"
        ]
        assert Plan(("queue",), ("plait", "standard"), 1, 1.0, 1).remarks() == []

    def test_the_default_is_both_columns_of_plait_all_peers_and_both_references(self):
        options = bench._parser().parse_args([])
        assert options.loops == (
            "plait", "loop-only", "asyncio", "uvloop", "rloop", "standard", "Pool", "loky", "aiomultiprocess",
            "dask", "ray", "janus", "culsans", "aiofiles", "aiofile", "anyio", "one-worker", "gunicorn", "granian", "epoll", "io_uring", "open", "plain-run",
        )  # fmt: skip
        assert options.only == tuple(WORKLOADS)

    def test_loop_only(self):
        assert planning.without_installing(("plait", "loop-only", "asyncio")) == ("loop-only", "asyncio")
        assert planning.without_installing(("plait", "asyncio")) == ("loop-only", "asyncio")

    def test_groups_are_in_the_order_of_the_table(self):
        groups = [workload.group for workload in WORKLOADS.values()]
        assert sorted(groups, key=GROUPS.index) == groups
        assert set(groups) == set(GROUPS)


class TestTheVerdict:
    def test_the_share_is_of_the_best_peers_median(self):
        made = results(plait=[1.0, 9.0, 2.0], loop_only=[3.0], asyncio=[8.0], uvloop=[4.0, 3.0, 100.0])
        assert made.best_peer("call_soon") == "uvloop"
        assert made.share("call_soon") == 0.5
        assert made.share("call_soon", "loop-only") == 0.75
        assert made.met("call_soon") is True
        assert made.all_targets_met()

    def test_a_missed_target_fails_the_check_only(self):
        made = results(plait=[5.0], asyncio=[4.0])
        assert made.met("call_soon") is False
        assert bench._exit_code(made, check=True) == 1
        assert bench._exit_code(made, check=False) == 0

    @pytest.mark.parametrize(
        "columns",
        [
            {"plait": [5.0]},
            {"asyncio": [5.0]},
            {"plait": [], "asyncio": [5.0]},
            {"loop_only": [1.0], "asyncio": [5.0]},
        ],
    )
    def test_what_cannot_be_judged_is_not_met(self, columns):
        made = results(**columns)
        assert made.met("call_soon") is None
        assert bench._exit_code(made, check=True) == 1

    def test_a_reference_is_never_judged_against(self):
        made = results("echo_protocol_1k_8", plait=[5.0], asyncio=[10.0], epoll=[1.0], io_uring=[0.5])
        assert made.best_peer("echo_protocol_1k_8") == "asyncio"
        assert made.share("echo_protocol_1k_8") == 0.5
        assert made.met("echo_protocol_1k_8") is True

    def test_a_workload_without_target_is_never_judged(self):
        made = results("timers", plait=[5.0], asyncio=[4.0])
        assert made.share("timers") == 1.25
        assert made.met("timers") is None
        assert bench._exit_code(made, check=True) == 0

    def test_the_spread(self):
        spread = results(plait=[90.0, 100.0, 130.0]).spread("call_soon", "plait")
        assert (spread.min, spread.median, spread.max) == (90.0, 100.0, 130.0)
        assert spread.deviation == pytest.approx(0.3)

    def test_each_workload_is_judged_by_its_own_figure(self):
        assert WORKLOADS["sleeps"].judged == WORKLOADS["echo_sock_1k_8"].judged == "cpu_ns"
        assert WORKLOADS["idle_connection"].judged == WORKLOADS["timers"].judged == "bytes_each"
        assert results("timers", plait=[7.0]).value("timers", "plait", "wall_ns") is None

    def test_targets_are_for_workloads_that_exist_and_aims_go_further(self):
        assert set(TARGETS) <= set(WORKLOADS)
        assert all(target.aim < target.share for target in TARGETS.values() if target.aim is not None)
        assert {name for name in WORKLOADS if name.startswith(("echo_", "read"))} <= set(TARGETS)

    def test_in_words(self):
        made = results("gather", plait=[5.0], loop_only=[8.0], asyncio=[10.0])
        words = in_words(made, "gather").replace("<strong>", "").replace("</strong>", "")
        assert words.startswith("plait takes 0.50 of what asyncio takes. Its loop alone: 0.80. Target, at most 0.60: ")
        assert "✓ met" in words and words.endswith("Aim 0.35: not reached.")
        assert "1.25 times" in in_words(results(plait=[5.0], asyncio=[4.0]), "call_soon")
        assert "could not be judged" in in_words(results(plait=[5.0]), "call_soon")
        assert number_of_targets(made) == (1, 1)


class TestTheTable:
    def test_says_median_spread_shares_and_verdict(self, capsys):
        table.show(results(plait=[1000.0, 2000.0, 1500.0], loop_only=[2400.0], uvloop=[3000.0]), times=False)
        title, header, row = capsys.readouterr().out.splitlines()[:3]
        assert title == "scheduling"
        assert header.split("  ")[0] == "workload"
        assert header.split()[-8:] == ["best", "peer", "share", "loop", "only", "target", "aim", "met"]
        assert "1,500 ±33%" in row
        assert row.split()[-6:] == ["uvloop", "0.50", "0.80", "0.90", "-", "yes"]

    def test_a_table_for_each_group_with_the_columns_it_needs(self):
        made = {title: header for title, header, _ in table.tables(everything(), times=False)}
        assert tuple(made) == GROUPS
        assert [title for title, header in made.items() if "epoll" in header] == ["network", "udp", "transfers"]
        assert made["threads"] == (
            "workload", "unit", "plait", "standard library", "best peer", "share", "target", "aim", "met",
        )  # fmt: skip
        assert made["bridges"][2:5] == ("plait", "janus", "culsans")

    def test_requests_per_second_stand_beside_an_echo(self):
        (network,) = [rows for title, _, rows in table.tables(everything(), times=False) if title == "network"]
        made = everything()
        for row in network:
            assert rate(made.value(row[0], "plait", "requests_per_s")) in row[2]

    def test_cpu_time_stands_beside_threads_that_wait_for_each_other(self, capsys):
        made = results("threading_event", plait=[5000.0], standard=[20_000.0])
        run = made.runs["threading_event"]["plait"][0]
        made.runs["threading_event"]["plait"][0] = type(run)(n=1, wall_ns=5000.0, cpu_ns=7000.0)
        table.show(made, times=False)
        shown = capsys.readouterr().out
        assert "cpu 7.00 µs" in shown and "standard library   0.25" in shown

    def test_what_a_loop_has_not_is_told_apart_from_a_failure(self):
        made = results("sendfile", plait=[], loop_only=[], asyncio=[90_000.0], uvloop=[])
        made.lacking = {"sendfile": {"plait": "none so far", "loop-only": "none so far", "uvloop": "NotImplementedError"}}
        ((_, header, (row,)),) = table.tables(made, times=False)
        shown = dict(zip(header, row, strict=True))
        assert (shown["plait"], shown["plait (loop only)"], shown["uvloop"]) == ("not yet", "not yet", "lacks it")
        assert shown["share"] == "-" and shown["best peer"] == "asyncio"
        assert made.lacks() == [
            "sendfile: not yet on plait, plait (loop only): none so far",
            "sendfile: lacks it on uvloop: NotImplementedError",
        ]
        assert set(made.lacks()) <= set(table.notes(made).splitlines())
        assert made.as_json()["lacking"] == made.lacking and made.failures == []

    def test_times_are_shown_on_request(self, capsys):
        made = results(plait=[1000.0], uvloop=[3000.0])
        run = made.runs["call_soon"]["plait"][0]
        made.runs["call_soon"]["plait"][0] = type(run)(n=1, wall_ns=1000.0, cpu_ns=500.0)
        table.show(made, times=False)
        assert "cpu 500 ns" not in capsys.readouterr().out
        table.show(made, times=True)
        assert "cpu 500 ns" in capsys.readouterr().out

    def test_rich_draws_the_same_cells(self, capsys, monkeypatch):
        pytest.importorskip("rich")
        monkeypatch.setenv("COLUMNS", "250")
        made = table.tables(results(plait=[1000.0, 2000.0], uvloop=[3000.0]), times=False)
        assert table._by_rich(made)
        shown = capsys.readouterr().out
        assert all(cell in shown for _, header, rows in made for row in (header, *rows) for cell in row)


class TestUnits:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0, "0"),
            (0.5891, "0.589"),
            (7.071, "7.07"),
            (32.46, "32.5"),
            (213.4, "213"),
            (-12.34, "-12.3"),
            (12345.6, "12,346"),
        ],
    )
    def test_three_digits_that_matter(self, value, text):
        assert number(value) == text

    @pytest.mark.parametrize(
        ("workload", "values", "said"),
        [
            ("call_soon", [90.0, 5000.0], "ns per callback"),
            ("call_soon", [700.0, 22_000.0], "µs per callback"),
            ("call_soon", [90.0, 22_000.0], "ns per callback"),
            ("echo_sock_1k_8", [3_500.0, 6_000.0], "µs of CPU per request"),
            ("timers", [200.0, 4000.0], "bytes per timer"),
            ("idle_connection", [30_000.0], "KiB per open connection"),
            ("timers", [], "bytes per timer"),
        ],
    )
    def test_one_unit_for_a_workload(self, workload, values, said):
        assert measure_of(WORKLOADS[workload], unit_for(WORKLOADS[workload], values)) == said

    def test_a_missed_target_does_not_look_like_a_met_one(self):
        assert [share(value, 0.97) for value in (0.974, 0.97, 0.966, 1.5)] == ["0.974", "0.97", "0.97", "1.50"]
        assert share(None) == "-"

    def test_times_and_rates_that_stand_alone(self):
        assert [time(value) for value in (480.0, 4620.0, 17_039_000.0)] == ["480 ns", "4.62 µs", "17.0 ms"]
        assert [rate(value) for value in (12.0, 52_345.0)] == ["12.0/s", "52.3k/s"]
