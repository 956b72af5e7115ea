"""The budgets of the design, in its order; each workload judges its own."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BUDGETS", "Budget"]


class Budget(NamedTuple):
    """A limit: at most (``"≤"``) or at least (``"≥"``) so many ``unit`` (``"×"``, ``"s"``, ``"B"`` or ``""``)."""

    what: str
    against: str
    sense: str
    limit: float
    unit: str

    def is_met(self, measured: float) -> bool:
        """Whether a measured value keeps it."""
        return measured <= self.limit if self.sense == "≤" else measured >= self.limit


BUDGETS = {
    "import": Budget("import", "over bare Python", "≤", 0.040, "s"),
    "import-peers": Budget("import", "the fastest peer's, both over bare Python", "≤", 1.0, "×"),
    "hit-floor": Budget("tiny hit", "open + pickle.load", "≤", 3.5, "×"),
    "hit-predecessor": Budget("tiny hit: speed", "that of persistable 1.3.1", "≥", 6.0, "×"),
    "hit-joblib": Budget("tiny hit: speed", "that of joblib.Memory", "≥", 6.0, "×"),
    "hit-kedro": Budget("tiny hit: speed", "that of kedro PickleDataset", "≥", 6.0, "×"),
    "hit-diskcache": Budget("tiny hit", "diskcache.memoize", "≤", 1.0, "×"),
    "miss-fast": Budget("tiny miss, fast, generate()", "temp + write + rename", "≤", 3.0, "×"),
    "miss-fast-lock": Budget("tiny miss, fast, load_generate()", "temp + write + rename", "≤", 5.0, "×"),
    "miss-full": Budget("tiny miss, full, load_generate()", "temp + write + rename with fsync", "≤", 3.0, "×"),
    "array-save": Budget("256 MB array, save, full", "np.save + fsync", "≤", 1.10, "×"),
    "array-load": Budget("256 MB array, load", "np.load", "≤", 1.10, "×"),
    "array-save-memory": Budget("256 MB array, save: more anonymous memory", "than np.save", "≤", 26e6, "B"),
    "array-load-memory": Budget("256 MB array, load: more anonymous memory", "than np.load", "≤", 26e6, "B"),
    "array-map": Budget("256 MB array, mapped: first element", "", "≤", 0.001, "s"),
    "array-save-one-core": Budget("256 MB array, save, one core", "np.save + fsync", "≤", 1.4, "×"),
    "array-load-one-core": Budget("256 MB array, load, one core", "np.load", "≤", 1.1, "×"),
    "pickle-save": Budget("256 MB pickle, save, full", "pickle.dump + fsync", "≤", 1.10, "×"),
    "pickle-load": Budget("256 MB pickle, load", "pickle.load", "≤", 1.3, "×"),
    "parquet-save": Budget("1e6 mixed rows, parquet, save", "pyarrow.parquet, same options", "≤", 1.10, "×"),
    "parquet-load": Budget("1e6 mixed rows, parquet, load", "pyarrow.parquet, same options", "≤", 1.10, "×"),
    "csv-save": Budget("1e6 mixed rows, csv, save: speed", "that of to_csv", "≥", 8.0, "×"),
    "avro-save": Budget("1e6 records, avro, save", "fastavro", "≤", 1.10, "×"),
    "avro-load": Budget("1e6 records, avro, load", "fastavro", "≤", 1.10, "×"),
    "avro-stream-save": Budget("1e6 records, avro, save a stream", "fastavro", "≤", 1.10, "×"),
    "avro-stream-load": Budget("1e6 records, avro, load a stream", "fastavro", "≤", 1.10, "×"),
    "avro-memory": Budget("avro streams: more anonymous memory", "than for a tenth of the records", "≤", 10e6, "B"),
    "key-fields": Budget("key of 5 fields", "", "≤", 4e-6, "s"),
    "key-chain": Budget("keys of 100 upstream nodes", "", "≤", 0.5e-3, "s"),
    "key-diamond": Budget("keys of a 200-level diamond", "", "≤", 2e-3, "s"),
    "key-dict": Budget("key of a dict of 1e5 floats", "json.dumps", "≤", 1.1, "×"),
    "key-array": Budget("key of a 100 MB array, C order", "raw SHA-256", "≤", 1.1, "×"),
    "key-strided": Budget("key of a 100 MB array, strided", "raw SHA-256", "≤", 1.6, "×"),
    "key-fortran": Budget("key of a 100 MB array, F order", "raw SHA-256", "≤", 3.0, "×"),
    **{
        f"{scheme}-{what.replace(' ', '-')}": Budget(f"{scheme}://, {what}{of}", "the bare client", "≤", limit, "×")
        for scheme in ("s3", "az", "gs", "sftp")
        for what, of, limit in (
            ("put 128 MiB", "", 1.15),
            ("get 128 MiB", "", 1.15),
            ("put 300", " of 10 kB", 1.5),
            ("get 300", " of 10 kB", 1.5),
        )
    },
    "stampede-once": Budget("8 processes miss one key: generations", "", "≤", 1.0, ""),
    "stampede-answer": Budget("8 processes miss one key: last answer after generating", "", "≤", 0.050, "s"),
    "stampede-killed": Budget("owner killed: next owner", "", "≤", 0.100, "s"),
    "find": Budget("find by params among 1e5, with the index", "", "≤", 0.005, "s"),
}
