from __future__ import annotations

import pytest
import synthetic
from studies.specialists import specialists

from planner.evaluation.slices import only
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.errors import TooLittleDataError
from training.study import fit_training_data


@pytest.fixture(scope="module")
def data() -> TrainingData:
    log = synthetic.make_log(80, policies=("small", "large"), draws=12, ns=(4,))
    return read_training_data(log, synthetic.POLICIES, synthetic.PRMS)


def test_every_pair_gets_a_planner_of_its_own(data: TrainingData) -> None:
    seen: list[tuple[set[str], set[str]]] = []

    def fit(log: TrainingData) -> Planner:
        seen.append((set(log.policies), set(log.prms)))
        return fit_training_data(log, trials=0)

    found = specialists(data, data, fit, bootstrap=50)
    pairs = [(cell.policy, cell.prm) for cell in found.cells]
    assert sorted(pairs) == sorted((p, str(r)) for p, pool in data.pools.items() for r in pool.prms)
    assert seen == [({policy}, {prm}) for policy, prm in pairs]
    multiples = [cell.multiple_over_majority for cell in found.cells]
    assert min(multiples) <= found.mean["value"] <= max(multiples)


def test_logs_without_a_pair_in_common_are_told_so(data: TrainingData) -> None:
    first, second = list(data.policies)[:2]
    with pytest.raises(TooLittleDataError, match="got no such pair"):
        specialists(
            only(data, policies=(first,)),
            only(data, policies=(second,)),
            lambda log: fit_training_data(log, trials=0),
        )
