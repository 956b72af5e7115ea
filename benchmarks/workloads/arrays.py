"""Arrays: 256 MB, 1 GB and 1000 × 1 MB of float64, saved, loaded and mapped, digests included.

The floor of a save is ``np.save``, flushed if the artifact is; every save writes a new file. Loads are from the page
cache, into fresh memory.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from typing import Any

from benchmarks import payloads, peers
from benchmarks.children import contestant
from benchmarks.held import Held, bare_saving, loads, made, saves
from benchmarks.measure import Lane, remote
from benchmarks.memory import Peak, peak_of
from benchmarks.report import Report
from persistable import ArtifactStore

MB = 1 << 20


def save_bare(array: Any) -> Callable[[str], None]:
    """Return what writes an array to a path, whatever its suffix."""
    import numpy as np

    def save(path: str) -> None:
        with open(path, "wb") as file:
            np.save(file, array)

    return save


def run(report: Report) -> None:
    """Time large arrays, then many; then what memory they need."""
    try:
        import numpy as np
        from persistable_numpy import NpyFileIO
    except ImportError as error:
        report.missing("numpy, or the plugin for it", error)
        return
    size = report.size(256 * MB, MB)
    payloads.array_bytes = size
    array = payloads.array(0)
    save = save_bare(array)
    table = saves(report, "256 MB array, save, durability=full", "np.save", save, lambda: array, most=11)
    report.judge("array-save", table.ratio("persistable"), table.control)
    fast(report, save, array)
    table = loads(
        report, "256 MB array, load", "np.load", save, np.load, lambda: array, others=load_peers(report), seconds=15
    )
    report.judge("array-load", table.ratio("persistable"), table.control)
    one_core(report, save, array)
    mapped(report, save, array, NpyFileIO(mmap_mode="r"))
    memory(report, size)
    large(report)
    many(report)


def fast(report: Report, save: Callable[[str], None], array: Any) -> None:
    """Save without flushing, beside peers, which do not flush either."""
    lanes = []
    for name in ("joblib.Memory", "diskcache.memoize"):
        try:
            remembered = peers.IN_PROCESS[name](report.path(f"save {name}"), payloads.array)
        except ImportError as error:
            report.missing(name, error)
        else:
            numbers = itertools.count()
            lanes.append(Lane(name, lambda r=remembered, n=numbers: r(next(n)), os.sync))
    title = "256 MB array, save, durability=fast"
    try:
        child = contestant(peers.PREDECESSOR, "array", f"{report.folder}/save predecessor")
    except ImportError as error:
        report.missing(peers.PREDECESSOR, error)
        saves(report, title, "np.save", save, lambda: array, durability="fast", others=tuple(lanes), least=3, most=5)
    else:
        with child:
            child.ask(set={"array_bytes": payloads.array_bytes})
            other = remote(peers.PREDECESSOR, child, "miss")
            lanes.append(Lane(other.name, prepare=os.sync, timer=other.timer))
            saves(
                report, title, "np.save", save, lambda: array, durability="fast", others=tuple(lanes), least=3, most=5
            )
    for name in os.listdir(report.folder):
        if name.startswith("save "):
            shutil.rmtree(f"{report.folder}/{name}")


def load_peers(report: Report) -> tuple[Lane, ...]:
    """Return those that load what they remember."""
    lanes = []
    for name in ("joblib.Memory", "diskcache.memoize"):
        try:
            remembered = peers.IN_PROCESS[name](report.path(f"load {name}"), payloads.array)
        except ImportError as error:
            report.missing(name, error)
        else:
            remembered(0)
            lanes.append(Lane(name, lambda r=remembered: r(0)))
    return tuple(lanes)


def one_core(report: Report, save: Callable[[str], None], array: Any) -> None:
    """Do the same with one core."""
    import numpy as np

    if not hasattr(os, "sched_setaffinity"):
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        title = "256 MB array, save, durability=full, one core"
        table = saves(report, title, "np.save", save, lambda: array, most=7, seconds=10)
        report.judge("array-save-one-core", table.ratio("persistable"), table.control)
        title = "256 MB array, load, one core"
        path, hot = f"{report.path('one core')}/file", memoryview(bytes(MB))
        save(path)
        bare = (
            Lane("bare: read, each MB hashed at once", lambda: read_and_hash(path, array), role="floor"),
            Lane("bare: hash as many bytes of one MB", lambda: hash_again(hot, array.nbytes), role="floor"),
        )
        table = loads(report, title, "np.load", save, np.load, lambda: array, others=bare, most=25, seconds=10)
        report.judge("array-load-one-core", table.ratio("persistable"), table.control)
    finally:
        os.sched_setaffinity(0, cores)
    report.remark("one core: by sched_setaffinity, while os.cpu_count() still says how many there are")


def read_and_hash(path: str, array: Any) -> None:
    """Read a file into the memory of a new array, and hash every megabyte while the processor has it in its cache."""
    import numpy as np
    from xxhash import xxh3_128

    with open(path, "rb", buffering=0) as file:
        view = np.empty_like(array).view(np.uint8).data
        state = xxh3_128(file.read(os.path.getsize(path) - len(view)))
        for start in range(0, len(view), MB):
            file.readinto(view[start : start + MB])
            state.update(view[start : start + MB])


def hash_again(piece: memoryview, size: int) -> None:
    """Hash a piece that the processor has in its cache until as many bytes are hashed."""
    from xxhash import xxh3_128

    state = xxh3_128()
    for _ in range(0, size, len(piece)):
        state.update(piece)


def mapped(report: Report, save: Callable[[str], None], array: Any, payload_io: Any) -> None:
    """Map instead of loading: the first element, and all of them."""
    import numpy as np

    def load(path: str) -> Any:
        return np.load(path, mmap_mode="r")

    for what, touch in (("first element", lambda a: a[0]), ("full sum", lambda a: a.sum())):
        title = f"256 MB array, mapped, {what}"
        table = loads(
            report, title, "np.load(mmap_mode='r')", save, load, lambda: array, payload_io, touch=touch, seconds=5
        )
        if what == "first element":
            report.judge("array-map", table.seconds("persistable"), table.control)


def large(report: Report) -> None:
    """Save and load 1 GB."""
    import numpy as np

    array = np.random.default_rng(0).random(report.size(128 * MB, MB // 8))
    save = save_bare(array)
    saves(report, "1 GB array, save, durability=full", "np.save", save, lambda: array, least=3, most=5)
    loads(report, "1 GB array, load", "np.load", save, np.load, lambda: array, least=3, most=7)


def many(report: Report) -> None:
    """Save and load 1000 arrays of 1 MB; a round has a hundred of them."""
    import numpy as np

    arrays = [np.random.default_rng(n).random(MB // 8) for n in range(report.size(100, 5))]
    for durability in ("full", "fast"):
        store = ArtifactStore(report.path(f"many-{durability}"), durability=durability)  # type: ignore[arg-type]
        folder = report.path(f"many-bare-{durability}")
        bare = [
            bare_saving("np.save", f"{folder}/{n}", save_bare(array), durable=durability == "full")
            for n, array in enumerate(arrays)
        ]
        floor = Lane(f"100 × {bare[0].name}", each(lane.run for lane in bare), lambda f=folder: emptied(f), "floor")
        ready: list[Held] = []

        def prepare(store: ArtifactStore = store, ready: list[Held] = ready) -> None:
            shutil.rmtree(f"{store.location}/held", ignore_errors=True)
            os.sync()
            ready[:] = [made(store, lambda array=array: array) for array in arrays]  # type: ignore[misc]

        ours = Lane("persistable", lambda ready=ready: [held.persist() for held in ready], prepare, "ours")
        report.compare(
            f"1000 arrays of 1 MB, save a hundred, durability={durability}", [floor, ours], seconds=8, most=10
        )
    paths = [f"{folder}/{n}" for n in range(len(arrays))]
    floor = Lane("100 × np.load", lambda: [np.load(path) for path in paths], role="floor")
    params = [held.params for held in ready]
    ours = Lane("persistable", lambda: [Held(store, each).load() for each in params], role="ours")
    report.compare("1000 arrays of 1 MB, load a hundred", [floor, ours], seconds=5, most=25)


def each(acts: Any) -> Callable[[], None]:
    """Return what does them all."""
    kept = list(acts)

    def run() -> None:
        for act in kept:
            act()

    return run


def emptied(folder: str) -> None:
    """Delete the files of a folder, and have everything written that is to be."""
    for name in os.listdir(folder):
        os.unlink(f"{folder}/{name}")
    os.sync()


# -- memory: each in a child of its own --------------------------------------------------------------------------------


def child_save(how: str, folder: str, size: int) -> Callable[[], object]:
    """Prepare to save an array."""
    payloads.array_bytes = size
    array = payloads.array(0)
    if how == "bare":
        return lambda: save_bare(array)(f"{folder}/bare.npy")
    held = made(ArtifactStore(folder), lambda: array)
    return held.persist


def child_load(how: str, folder: str, size: int) -> Callable[[], object]:
    """Prepare to load an array."""
    import numpy as np

    if how == "bare":
        np.save(f"{folder}/bare.npy", np.random.default_rng(0).random(size // 8))
        return lambda: np.load(f"{folder}/bare.npy")
    held = made(ArtifactStore(folder), lambda: np.random.default_rng(0).random(size // 8))
    held.persist()
    held.reset_payload()
    return lambda: (held.load(), held)


def memory(report: Report, size: int) -> None:
    """Measure what saving and loading need above the array that is there."""
    note = (
        "Above what the process had, the array to be saved included. Resident memory counts the pages of a file that "
        "is mapped to be digested, which the kernel takes back at will; a copy would be anonymous memory."
    )
    for act in ("save", "load"):
        report.say(f"memory of {act}")
        peaks: dict[str, Peak | None] = {}
        for how in ("bare", "persistable"):
            name = {"bare": f"np.{act}"}.get(how, how)
            peaks[name] = peak_of(f"{__name__}:child_{act}", how, report.path(f"memory-{act}-{how}"), size)
        report.memory(f"256 MB array, {act}: memory", peaks, note=note)
        bare, ours = peaks[f"np.{act}"], peaks["persistable"]
        if bare and ours:
            report.judge(f"array-{act}-memory", float(ours.anonymous - bare.anonymous))
