"""Points, and an estimator that tracks them: the smallest pipeline there is.

    python examples/points.py                  # the first time: generated
    python examples/points.py --expect-hits    # from then on: loaded

Change ``n`` or ``seed`` and both get other keys, because the points are part of the estimator's identity.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from step import Step, arguments, exit_status, store

from persistable import PersistableParams
from persistable.exceptions import InvalidPayloadError


@dataclass
class PointsParams(PersistableParams):
    n: int
    seed: int = 10


class Points(Step[NDArray[np.float64], PointsParams]):
    """``n`` random numbers between 0 and 1."""

    def _generate_payload(self, **_: Any) -> NDArray[np.float64]:
        np.random.seed(self.params.seed)
        return np.random.random(self.params.n)

    def _validate_payload(self, payload: NDArray[np.float64]) -> None:
        if payload.shape != (self.params.n,):
            raise InvalidPayloadError(f"{self.params.n} points were asked for, not {payload.shape}")


@dataclass
class OutlierParams(PersistableParams):
    deviations: float = 1.5


class OutlierEstimator(Step[dict[str, float], OutlierParams]):
    """Mean and standard deviation of the points; what lies further out than ``deviations`` of them is an outlier."""

    def _generate_payload(self, **_: Any) -> dict[str, float]:
        (points,) = self.tracked_persistable_dependencies
        return {"mean": float(points.payload.mean()), "standard_deviation": float(points.payload.std())}

    def outliers(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        distances = np.abs(points - self.payload["mean"])
        return distances > self.params.deviations * self.payload["standard_deviation"]


def main() -> int:
    options = arguments("Random points and an estimator of outliers that tracks them.")
    data_dir = store(options)
    points = Points(data_dir, PointsParams(n=100))
    estimator = OutlierEstimator(data_dir, OutlierParams(), [points])
    for step in (points, estimator):
        step.run()

    print(f"first point         {points.payload[0]:.8f}")
    print(f"mean                {estimator.payload['mean']}")
    print(f"standard deviation  {estimator.payload['standard_deviation']}")
    print(f"outliers            {estimator.outliers(points.payload).sum()} of {len(points.payload)}")
    assert f"{points.payload[0]:.8f}" == "0.77132064"
    assert estimator.payload == {"mean": 0.48534879111973994, "standard_deviation": 0.27497659243084727}
    return exit_status((points, estimator), options)


if __name__ == "__main__":
    sys.exit(main())
