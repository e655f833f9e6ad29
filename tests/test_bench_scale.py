"""The simulator of large sweeps, on cases small enough to work by hand."""

import pytest

from bench.simulate_scale import Costs, disk_gb, measure, simulate

FREE = Costs(agree=0, read=0, take=0, note=0)


def test_one_worker_takes_one_pack_after_the_other() -> None:
    came = simulate([3, 4, 5], 1, Costs(agree=7, read=0, take=1, note=2))
    assert came.makespan == pytest.approx(7 + 3 * (1 + 2) + 12)
    assert came.idle == pytest.approx(1 - 12 / 28)
    assert came.waiting == 0


def test_two_workers_share_the_packs() -> None:
    came = simulate([3, 4, 5], 2, FREE)  # 3 then 5, beside 4
    assert came.makespan == 8
    assert came.idle == pytest.approx(4 / 16)


def test_lock_is_one_worker_s_at_a_time() -> None:
    came = simulate([4, 4, 4], 3, Costs(agree=0, read=0, take=0, note=2))
    assert came.makespan == 10  # finished at 6, 8 and 10
    assert came.waiting == pytest.approx((0 + 2 + 4) / 30)


def test_short_pack_does_not_wait_for_a_long_one() -> None:
    came = simulate([10, 2], 2, Costs(agree=0, read=0, take=0, note=1))
    assert came.makespan == 11  # the short one is finished from 2 to 3
    assert came.waiting == 0


def test_dead_worker_s_pack_is_taken_over() -> None:
    def dies(number: int) -> float | None:
        return 0.5 if number == 0 else None

    came = simulate([100, 10], 2, FREE, dies=dies, lost=20)
    # Dead at 50 with 30 kept: after 120 s without a heartbeat the other trains the 70 left.
    assert came.makespan == 50 + 120 + 70
    assert came.n_deaths == 1


def test_measured_packs_are_those_of_the_real_packer() -> None:
    costs, sizes = measure(40, 1)
    assert sizes == [14, 14, 12]
    assert min(costs.agree, costs.read, costs.take, costs.note) > 0


def test_disk_is_that_of_all_finished_runs_and_of_checkpoints_of_those_in_training() -> None:
    finished, checkpoints = disk_gb(1000, 2, run_kb=500)
    assert finished == pytest.approx(0.5013)
    assert checkpoints == pytest.approx(32 * 2 * 4 * 500e-6)  # two packs of 16
    assert disk_gb(10, 2, run_kb=500)[1] == pytest.approx(10 * 2 * 4 * 500e-6)
