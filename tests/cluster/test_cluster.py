"""Pieces of work on a real cluster: order, sums, failures, deaths, stops."""

import asyncio
import itertools
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

import distributed
import pytest
import works

from boxwood.backends import cpu_status, use_simd
from boxwood.errors import InputError, JobError
from boxwood.execution import Failure, Threads, worker
from boxwood.execution.cluster import Cluster
from boxwood.jobs.abort import stop_all
from boxwood.jobs.api import Project
from boxwood.jobs.cluster import ClusterSettings, bits_here
from boxwood.jobs.registry import load_job

ITEMS = list(range(1, 100))
SET = {"simd": "baseline", "use_simd": use_simd, "stop": stop_all}


def local_sum():
    return Threads(1).map_add(works.Squares(), ITEMS, lambda number, result: None)


def test_a_map_keeps_the_order_and_names_failures(executor):
    done = list(executor.map(works.square, range(40)))
    assert [d.item for d in done] == list(range(40))
    assert isinstance(done[7].result, Failure) and "seven is broken" in str(done[7].result.error)
    results = [d.result for d in done if d.item != 7]
    assert [square for square, _ in results] == [i * i for i in range(40) if i != 7]
    workers = {process for _, process in results}
    assert len(workers) == 2 and os.getpid() not in workers


def test_results_that_come_slowly_are_waited_for(executor, monkeypatch):
    monkeypatch.setattr("boxwood.execution.roster.Roster.period_s", 0.001)
    assert [done.result[0] for done in executor.map(works.square, range(8, 40))] == [
        i * i for i in range(8, 40)
    ]


def test_what_a_worker_has_to_say_is_in_the_log_of_the_job(executor):
    executor.map_add(works.Squares(tell=41), ITEMS, lambda number, result: None)
    assert executor.told == [f"{platform.node()}: 41 is odd"]


def test_sums_have_the_bits_of_threads(executor):
    for _ in range(3):
        found = {}
        total = executor.map_add(works.Squares(), ITEMS, found.__setitem__, lambda i: i / len(ITEMS))
        assert total == local_sum()
        assert {i: square for i, (square, _) in found.items()} == {i: n * n for i, n in enumerate(ITEMS)}
        assert len({process for _, process in found.values()}) == 2


def test_items_stay_where_they_were_unless_a_worker_would_idle():
    executor = Cluster(_Worker(), 1, **SET, probe=str)
    executor._workers.threads = {"one": 1, "other": 1}
    executor._homes = {0: "one", 1: "one", 2: "other", 3: "other", 4: "gone"}
    pending = {home: deque([10 * home]) for home in range(5)}

    def take(address):
        return executor._next(pending, address, lambda number: True)

    assert [take("one") for _ in range(4)] == [0, 10, 40, 30]  # its own, what is nowhere, what the other has
    assert take("one") is None  # the last one is done soonest where it is known
    assert take("other") == 20
    assert executor._homes == {0: "one", 1: "one", 4: "one", 3: "one", 2: "other"}


def test_a_worker_that_does_not_answer_is_not_waited_for(cluster, executor, monkeypatch):
    monkeypatch.setattr("boxwood.execution.roster._PATIENCE", 0.5)
    with distributed.Client(cluster, set_as_default=False) as client:
        silent, other = client.run(os.getpid).values()
    os.kill(silent, signal.SIGSTOP)
    found = {}
    try:
        total = executor.map_add(works.Squares(), ITEMS, found.__setitem__)
    finally:
        os.kill(silent, signal.SIGCONT)
    assert total == local_sum() and {process for _, process in found.values()} == {other}
    assert executor.told == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (TimeoutError("after 30 s"), "it does not answer (after 30 s)"),
        (FileNotFoundError(2, "No such file or directory", "/data"), "it cannot go to /data (No such file"),
        (ImportError("no boxwood"), "it would find other bits: it has ImportError: no boxwood"),
    ],
)
def test_why_a_worker_is_not_used_is_told(executor, error, sentence):
    answer = Future()
    answer.set_exception(error)
    executor._workers._admit("tcp://10.0.0.1:8786", 1, answer)
    assert len(executor.told) == 1 and f"is not used, because {sentence}" in executor.told[0]


def test_an_item_that_always_fails_is_named(executor):
    with pytest.raises(JobError, match=r"batch 41 of 99 failed .*41 is broken.*--skip-failed"):
        executor.map_add(works.Squares(bad=(41,)), ITEMS, lambda number, result: None)


def assert_the_bad_one_is_left_out(scheduler, kill, items):
    told, found = [], {}
    executor = ClusterSettings(executor="dask", scheduler=scheduler, skip_failed=True).open(1, told.append)
    try:
        total = executor.map_add(works.Squares(bad=(41,), kill=kill), items, found.__setitem__)
    finally:
        executor.close(stopped=True)
    here = Threads(1, skip_failed=True)
    assert total == here.map_add(works.Squares(bad=(41,)), items, lambda number, result: None)
    failed = [number for number, result in found.items() if isinstance(result, Failure)]
    assert failed == [number for number, item in enumerate(items) if item == 41] and len(found) == len(items)
    assert any(text.startswith(f"batch 4 of {len(items)} is left out") for text in told)


def test_an_item_that_always_fails_is_skipped(cluster):
    assert_the_bad_one_is_left_out(cluster.scheduler_address, False, [*ITEMS[:3], 41, *ITEMS[4:]])


def test_an_item_that_workers_die_of_is_skipped(loop, tmp_path, monkeypatch):
    """They are not begun anew: of two at once, Dask at times forgets one."""
    monkeypatch.setattr("boxwood.execution.cluster._DEATHS", 0)
    with distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", loop=loop) as mortal:
        command = [sys.executable, "-m", "dask", "worker", mortal.scheduler_address, "--nthreads", "1"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # works.py
        quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "cwd": tmp_path}
        workers = [
            subprocess.Popen([*command, "--no-dashboard", "--no-nanny"], env=environment, **quiet)
            for _ in range(3)
        ]
        try:
            mortal.wait_for_workers(3, timeout=300)
            assert_the_bad_one_is_left_out(mortal.scheduler_address, True, [1, 2, 3, 41, 5, 6])
            assert sorted(process.poll() is None for process in workers) == [False, False, True]
        finally:
            for process in workers:
                process.kill()
                process.wait()


def test_ctrl_c_stops_the_workers(executor, tmp_path):
    """What is under way ends, nothing more begins, and the next job finds idle workers."""
    files = [str(tmp_path / str(i)) for i in range(10)]

    def interrupt():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    waiter = threading.Thread(target=interrupt)
    waiter.start()
    with pytest.raises(KeyboardInterrupt):
        list(executor.map(works.wait_for_stop, files))
    client, address = executor._client, executor._client.scheduler.address
    executor.close(stopped=True)
    waiter.join()
    assert client.status == "closed"
    again = ClusterSettings(executor="dask", scheduler=address).open(1, print)
    try:
        assert again.map_add(works.Squares(), ITEMS, lambda number, result: None) == local_sum()
        assert len(list(tmp_path.iterdir())) <= 4  # two a thread
    finally:
        again.close()


def test_workers_that_find_other_bits_are_not_used(executor):
    told = []
    other = Cluster(executor._client, 1, **SET, probe=works.process, wait_s=0.1, tell=told.append)
    with pytest.raises(JobError, match="has no worker but 2 that cannot be used"):
        list(other.map(works.square, range(3)))
    assert len(told) == 2 and all("would find other bits: it has process" in text for text in told)


def test_jobs_that_workers_cannot_do_say_so(tmp_path):
    """Before anything is looked for or made."""
    remote = {"executor": "dask", "scheduler": "tcp://127.0.0.1:1"}
    with pytest.raises(InputError, match="live is done by the threads of this process alone; leave"):
        Project(tmp_path).live(micrographs="none.star", cluster=ClusterSettings(**remote))
    assert not list(tmp_path.iterdir())
    pick, classify = load_job("autopick"), load_job("class2d")
    sizes = {"micrographs": "m.star", "min_diameter": 90, "max_diameter": 100, "method": "adaptive"}
    parts = [pick.not_on_workers(pick.options.make({**sizes, "align": align})) for align in (True, False)]
    assert parts == ["the alignment of picks", ""]
    for recipe, part in (("relion", "all of recipe relion"), ("balanced", "")):
        assert classify.not_on_workers(classify.options.make({"recipe": recipe})) == part


def test_what_is_asked_for_must_make_sense(monkeypatch):
    monkeypatch.setattr("boxwood.jobs.cluster._ANSWER", 0.2)
    with pytest.raises(InputError, match="choose threads or dask"):
        ClusterSettings(executor="spark")
    with pytest.raises(InputError, match="give --executor dask, too"):
        ClusterSettings(scheduler="slurm")
    with pytest.raises(InputError, match="workers belong to the executor dask"):
        ClusterSettings(workers=4)
    with pytest.raises(InputError, match="needs a scheduler"):
        ClusterSettings(executor="dask")
    with pytest.raises(InputError, match=r"no scheduler answers at tcp://127.0.0.1:1"):
        ClusterSettings(executor="dask", scheduler="tcp://127.0.0.1:1").open(1, print)


class _Worker:
    """A client with one worker that does at once what it is given, and dies of what is None."""

    status = "running"

    def __init__(self):
        self.scheduler = SimpleNamespace(address="tcp://10.0.0.1:8786")
        self.looked = 0

    def submit(self, function, *arguments, **where):
        done = Future()
        done.status = "finished"
        if arguments[-1] is None:
            done.set_exception(distributed.KilledWorker("item", None, 1))
        else:
            done.set_result(worker.Answer(arguments[-1], []))
        return done

    def cancel(self, futures, force):
        pass


def test_an_item_that_workers_die_of_does_not_hold_up_those_after_it(monkeypatch):
    """Results are kept until those before them have come, but no more than a few."""
    monkeypatch.setattr("boxwood.execution.roster.Roster.period_s", 0.001)
    executor = Cluster(_Worker(), 1, **SET, probe=str)
    executor._workers.threads = {"tcp://10.0.0.1:1": 1}
    looks = itertools.count()

    def look(wait):
        assert next(looks) < 1000, "it does not end"

    monkeypatch.setattr(executor._workers, "look", look)
    items = [0, 1, None, *range(3, 40), None, 41]
    found = [done.result for done in executor.map(works.square, items)]
    assert [number for number, result in enumerate(found) if isinstance(result, Failure)] == [2, 40]
    good = [result for result in found if not isinstance(result, Failure)]
    assert good == [item for item in items if item is not None]


def admitted(job, threads):
    """What `admit` answers, asked in a thread: in this one the loop of a browser may run."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, worker.admit(job, threads)).result()


def job_of_cluster(name, **more):
    """A job of the current folder, whose kernels may use anything."""
    values = {"simd": "", "use_simd": bool, "probe": str, "bits": "", "stop": stop_all}
    return worker.JobOfCluster(name, os.getcwd(), **values | more)


def test_a_job_that_needs_another_instruction_set_has_its_turn_before_what_comes_after_it(monkeypatch):
    """Nothing else is under way then; it is asked for its bits no sooner."""
    monkeypatch.setattr(worker, "keep_one_blas_thread", lambda: None)
    monkeypatch.setattr(worker, "_process", worker._Process())
    now, seen, threads, asked = [""], [], [], []

    def use(simd):
        assert not worker._process.busy
        now[0] = simd

    def see(item):
        seen.append((item, now[0]))

    def begin(function, *arguments):
        threads.append(threading.Thread(target=function, args=arguments))
        threads[-1].start()
        while len(worker._process.waiting) < len(threads):
            time.sleep(0.001)

    one, other = (
        job_of_cluster(name, simd=name, use_simd=use, probe=lambda: now[0], bits=name) for name in "ab"
    )
    with worker._working(one):
        worker.run_one(one, see, "at once")  # shares the process with what is under way
        begin(lambda: asked.append(asyncio.run(worker.admit(other, 1))))
        begin(worker.run_one, other, see, "second")
        begin(worker.run_one, one, see, "third")
        assert seen == [("at once", "a")] and not asked
    for thread in threads:
        thread.join()
    assert seen[1:] == [("second", "b"), ("third", "a")] and asked == ["b"]


def test_a_piece_of_work_that_comes_to_a_worker_with_other_bits_is_not_done_there(monkeypatch):
    """As Dask brings it where the one that it was meant for has gone."""
    monkeypatch.setattr(worker, "keep_one_blas_thread", lambda: None)
    monkeypatch.setattr(worker, "_process", worker._Process())
    with pytest.raises(worker.OtherBits, match="other"):
        worker.run_one(job_of_cluster("a", probe=lambda: "other"), works.square, 2)


@pytest.mark.skipif(len(cpu_status()["runnable"]) < 2, reason="this processor has one instruction set only")
def test_two_jobs_with_different_instruction_sets_share_workers(executor, cluster):
    """Each piece of work finds the kernels of its own job, whichever was admitted last."""
    chosen = cpu_status()["chosen"][0]
    another = next(simd for simd in cpu_status()["runnable"] if simd != chosen)
    with distributed.Client(cluster, set_as_default=False) as client:
        values = {**SET, "simd": another, "probe": partial(bits_here, another)}
        other = Cluster(client, 1, **values, tell=executor.told.append)
        use_simd(chosen)  # which the probe has changed here
        found = [executor.map(works.simd, range(40)), other.map(works.simd, range(40))]
        for _ in range(40):
            assert [next(results).result for results in found] == [chosen, another]
        other.close()
    assert executor.told == []


def test_what_was_kept_for_a_command_that_died_is_dropped(monkeypatch):
    """Only where nothing is done for it: what it has in hand, it keeps."""
    monkeypatch.setattr(worker, "keep_one_blas_thread", lambda: None)
    monkeypatch.setattr(worker, "_process", worker._Process())
    dead, new, newer = map(job_of_cluster, ("dead", "new", "newer"))

    def kept(job):
        return worker._process.here[job.name].keep("images", "key", lambda: "made again")

    for job in (dead, new):
        admitted(job, 3)
        worker._process.here[job.name].keep("images", "key", lambda: "kept")
    with worker._working(new):
        admitted(newer, 1)
    assert (kept(dead), kept(new)) == ("made again", "kept") and worker._process.here["dead"].threads == 3


def test_of_two_jobs_that_are_stopped_the_first_to_end_lets_the_other_end_too(monkeypatch):
    monkeypatch.setattr(worker, "_process", worker._Process())
    asked: list[bool] = []
    one, other = (job_of_cluster(name, stop=asked.append) for name in ("one", "other"))
    with worker._working(one):
        with worker._working(other):
            worker.stop(one)
            worker.stop(other)
        assert asked == [True, True]
    assert asked == [True, True, False]
