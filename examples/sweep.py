"""A sweep over params, in several processes: what all of them need is generated once, and a rerun generates nothing.

    python examples/sweep.py                  # the first time: generated
    python examples/sweep.py --expect-hits    # from then on: loaded

A Persistable travels to a process and back without its payload: the store is where they meet. Add a degree to the grid,
and only what is new is fitted.
"""

import itertools
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from step import Step, arguments, exit_status, store

from persistable import PersistableParams, param


@dataclass(frozen=True)
class SampleParams(PersistableParams):
    n: int = 200
    noise: float = 0.2  # standard deviation
    seed: int = 10


class Samples(Step[NDArray[np.float64], SampleParams]):
    """Rows of x and y: a sine, and noise. The first half is for fitting, the second to measure the fit."""

    def _generate_payload(self, **_: Any) -> NDArray[np.float64]:
        generator = np.random.default_rng(self.params.seed)
        x = generator.uniform(-3.0, 3.0, self.params.n)
        return np.column_stack([x, np.sin(x) + generator.normal(0.0, self.params.noise, self.params.n)])


@dataclass(frozen=True)
class FitParams(PersistableParams):
    degree: int
    penalty: float
    verbose: bool = param(default=False, tracked=False)  # changes nothing of the fit, so it is not in the key


class Fit(Step[dict[str, float], FitParams]):
    """A polynomial, by ridge regression; the payload says how far off it is where it was not fitted."""

    payload_io = "json"  # numbers that any tool reads

    def _generate_payload(self, **_: Any) -> dict[str, float]:
        (samples,) = self.tracked_persistable_dependencies
        seen, held_out = np.split(samples.payload, 2)
        powers = np.vander(seen[:, 0], self.params.degree + 1)
        weights = np.linalg.solve(
            powers.T @ powers + self.params.penalty * np.eye(self.params.degree + 1), powers.T @ seen[:, 1]
        )
        if self.params.verbose:
            print(f"degree {self.params.degree}, penalty {self.params.penalty:g}: {weights}")
        missed = np.polyval(weights, held_out[:, 0]) - held_out[:, 1]
        return {"root_mean_square_error": float(np.sqrt(np.mean(missed**2)))}


def made(fit: Fit) -> Fit:
    """Load or generate in a process of the pool; what comes back is without the payload, which is in the store."""
    fit.load_generate()
    return fit


def main() -> int:
    options = arguments("A sweep over degrees and penalties of a polynomial.")
    data_dir = store(options)
    samples = Samples(data_dir, SampleParams())
    grid = itertools.product((1, 3, 5, 7, 9), (0.0, 0.1, 10.0))
    fits = [Fit(data_dir, FitParams(degree, penalty), [samples]) for degree, penalty in grid]
    with ProcessPoolExecutor(max_workers=4, mp_context=multiprocessing.get_context("spawn")) as pool:
        fits = list(pool.map(made, fits))
    status = exit_status(fits, options)

    fits.sort(key=lambda fit: fit.payload["root_mean_square_error"])
    for fit in fits[:3]:
        error = fit.payload["root_mean_square_error"]
        print(f"degree {fit.params.degree}, penalty {fit.params.penalty:4g}: off by {error:.4f} (the noise is 0.2)")
    return status


if __name__ == "__main__":  # the processes of the pool import this file
    sys.exit(main())
