"""``python -m persistable``: lists that come whatever is there, on stdout, and nothing else; what is refused."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from installed import HOOKS, Site

import persistable
from persistable import ArtifactStore, cli
from persistable.display import printable
from persistable.registry import Registry

VERSION = persistable.__version__


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command look for plugins anew."""
    monkeypatch.setattr(cli, "default_registry", Registry)


@pytest.fixture
def zoo(site: Site, fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a plugin of every kind."""
    site.format("png", "PIL.Image.Image", "numpy.ndarray", plugin="image", distribution="image-box", default=True)
    site.plugin(
        "cloud",
        HOOKS + "print('hello')\n@hookimpl\n"
        "def persistable_storages(): return [StorageSpec(schemes=('cloud', 'tape'), storage='c:C')]",
    )
    site.plugin("broken", "raise ValueError('several\\n  lines, ünïcode')", "broken-dist", "0.1")
    site.plugin("mute", "class Mute(Exception):\n    def __str__(self): return 1 / 0\nraise Mute")
    site.plugin("quiet", "raise AssertionError('loaded')")
    monkeypatch.setenv("PERSISTABLE_DISABLE_PLUGINS", "quiet")


@pytest.mark.usefixtures("zoo")
def test_plugins_are_listed_with_what_they_bring(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each: name, distribution, version, status, and formats with types, or the error on one line."""
    assert cli.main(["plugins"]) == 0
    printed, noise = capsys.readouterr()
    assert printed == (
        f"NAME         DISTRIBUTION  VERSION     STATUS    FORMATS AND STORAGES\n"
        f"persistable  persistable   {VERSION}  loaded    pickle, json, text\n"
        f"broken       broken-dist   0.1         failed    ValueError: several lines, ünïcode\n"
        f"cloud        cloud-dist    1.0         loaded    cloud://, tape://\n"
        f"image        image-box     1.0         loaded    png (PIL.Image.Image, numpy.ndarray)\n"
        f"mute         mute-dist     1.0         failed    Mute, whose message cannot be had\n"
        f"quiet        quiet-dist    1.0         disabled\n"
    )
    assert noise == "hello\n"


@pytest.mark.usefixtures("zoo")
def test_json_is_a_list_with_an_object_for_each_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    """The keys are those of the design, for every plugin, whatever became of it."""
    assert cli.main(["plugins", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["persistable", "broken", "cloud", "image", "mute", "quiet"]
    assert rows["image"] == {
        "name": "image",
        "distribution": "image-box",
        "version": "1.0",
        "status": "loaded",
        "error": None,
        "formats": [
            {
                "name": "png",
                "suffix": ".png",
                "types": ["PIL.Image.Image", "numpy.ndarray"],
                "default": True,
                "executes_code": False,
                "contested": False,
            }
        ],
        "storages": [],
    }
    assert rows["broken"]["error"] == "ValueError: several\n  lines, ünïcode"
    assert (rows["broken"]["status"], rows["broken"]["formats"]) == ("failed", [])
    assert (rows["quiet"]["status"], rows["quiet"]["error"]) == ("disabled", None)
    assert rows["cloud"]["storages"] == [{"schemes": ["cloud", "tape"]}]
    assert [spec["executes_code"] for spec in rows["persistable"]["formats"]] == [True, False, False]
    assert all(list(row) == list(rows["image"]) for row in rows.values())


@pytest.mark.usefixtures("fresh")
def test_a_format_that_several_claim_is_marked(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that nobody has is not listed as if it worked."""
    site.format("png", "box.Image", plugin="alpha")
    site.format("png", plugin="beta")
    site.format("tiff", plugin="gamma")
    assert cli.main(["plugins"]) == 0
    listed = [line.partition("loaded")[2].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert listed == ["png contested (box.Image)", "png contested", "tiff"]
    assert cli.main(["plugins", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)[1:]
    assert [(row["status"], row["formats"][0]["contested"]) for row in rows] == [
        ("loaded", True),
        ("loaded", True),
        ("loaded", False),
    ]


@pytest.mark.parametrize("arguments", [["plugins"], ["plugins", "--json"]])
def test_the_command_works_as_a_process_with_broken_plugins(tmp_path: Path, arguments: list[str]) -> None:
    """Exit status 0, warnings as errors, a terminal of ASCII, prints of plugins: the list comes, and only it."""
    with pytest.MonkeyPatch.context() as patch:
        site = Site(tmp_path / "site", patch)
        site.plugin("broken", "print('noise')\nraise ValueError('größe')")
        site.plugin("leaving", "import sys; sys.exit(3)")
    here = Path(persistable.__file__).parent.parent
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(here)]),
        "PYTHONIOENCODING": "ascii",
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "persistable", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "noise\n")
    assert "noise" not in done.stdout
    if "--json" in arguments:
        rows = {row["name"]: row for row in json.loads(done.stdout)}
        assert rows["broken"]["error"] == "ValueError: größe"
        assert rows["leaving"]["error"] == "RuntimeError: it called sys.exit(3) when it was loaded"
    else:
        assert "ValueError: gr\\xf6\\xdfe" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["plugin"], ["plugins", "--xml"]])
def test_arguments_that_make_no_sense_are_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, usage on stderr, nothing on stdout."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    printed, usage = capsys.readouterr()
    assert (caught.value.code, printed) == (2, "")
    assert usage.startswith("usage: python -m persistable")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` names the library and its version."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"persistable {VERSION}\n"


@pytest.mark.parametrize("command", ["verify", "sweep"])
def test_a_folder_that_is_not_there_is_an_error(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped location is not an empty store; an empty one is fine."""
    (tmp_path / "file").touch()
    for name in ("mistyped\n\x1b[2J", "file"):
        for location in (str(tmp_path / name), (tmp_path / name).as_uri()):
            assert cli.main([command, location]) == 2
            printed, noise = capsys.readouterr()
            assert printed == ""
            assert noise == f"python -m persistable: there is no folder {printable(tmp_path / name)}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    assert cli.main([command, str(tmp_path)]) == 0


@pytest.mark.parametrize("hours", ["nan", "-1", "-0.001", "-inf"])
def test_a_grace_that_makes_no_sense_is_refused(hours: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command and by the store; nothing is deleted."""
    assert cli.main(["sweep", str(tmp_path), f"--grace={hours}"]) == 2
    assert "give seconds, at least 0" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"^grace="):
        ArtifactStore(tmp_path).sweep(grace=float(hours))
    with pytest.raises(ValueError, match=r"^quarantined="):
        ArtifactStore(tmp_path).sweep(quarantined=float(hours))


PLANTED = ".tmp-00000000-1-\x1b[2J\nok\r\u202ex"


def test_planted_names_do_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is swept is listed a line each, escaped; JSON escapes by itself."""
    for options in ([], ["--json"]):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / PLANTED).touch()
        assert cli.main(["sweep", str(tmp_path), "--grace=0", *options]) == 0
        printed = capsys.readouterr().out
        assert all(line.isprintable() for line in printed.split("\n")), printed
        assert len(printed.split("\n")) == (2 if options else 3)
        assert json.loads(printed)["names"] == [f"a/{PLANTED}"] if options else r"\x1b[2J\nok\r\u202ex" in printed


def test_planted_paths_do_not_steer_the_terminal_of_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A problem is a line, whatever the name of what has it."""
    root = tmp_path / "b\x1b[2J\nall is well"
    (root / "a").mkdir(parents=True)
    (root / "a" / f"{'0' * 32}.json").write_bytes(b"{}")
    assert cli.main(["verify", str(root)]) == 1
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.rstrip("\n").isprintable()


@pytest.mark.usefixtures("fresh")
def test_a_plugin_does_not_steer_the_terminal(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Its error may say anything."""
    site.plugin("broken", "raise ValueError('\\x1b[2J')")
    assert cli.main(["plugins"]) == 0
    assert r"ValueError: \x1b[2J" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"my thesis\n", b"\xff\0", b"\n", b"persistable verification notes 2\n"])
def test_only_notes_are_taken_for_notes(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that holds something else is named in the error, and stays as it is."""
    (tmp_path / "data").mkdir()
    thesis = tmp_path / "thesis.txt"
    thesis.write_bytes(content)
    assert cli.main(["verify", str(tmp_path / "data"), "--resume", str(thesis)]) == 2
    assert str(thesis) in capsys.readouterr().err
    assert thesis.read_bytes() == content
    with pytest.raises(ValueError, match=re.escape(str(thesis))):
        list(ArtifactStore(tmp_path / "data").check(resume=thesis))
    for notes in (b"", b"persistable verification notes 1\n"):
        thesis.write_bytes(notes)
        assert cli.main(["verify", str(tmp_path / "data"), "--resume", str(thesis)]) == 0
        assert not thesis.exists()


def test_notes_do_not_lie_within_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They could be an artifact's file; nothing is created there, links make no difference."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for notes in (tmp_path / "data" / "notes", tmp_path / "link" / "notes"):
        assert cli.main(["verify", str(tmp_path / "data"), "--resume", str(notes)]) == 2
        assert "lies within the store" in capsys.readouterr().err
    assert list((tmp_path / "data").iterdir()) == []


def damage(root: Path, count: int) -> None:
    """Make a store with so many records that are none."""
    (root / "a").mkdir()
    for number in range(count):
        (root / "a" / f"{number:032x}.json").write_bytes(b"{}")


def test_whoever_has_read_enough_may_go(tmp_path: Path) -> None:
    """A closed pipe ends the command without a word, as it does others."""
    damage(tmp_path, 1000)  # more than a pipe holds
    verify = [sys.executable, "-m", "persistable", "verify", str(tmp_path)]
    with subprocess.Popen(verify, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        if hasattr(fcntl, "F_SETPIPE_SZ"):  # where pages are large a pipe holds a megabyte
            fcntl.fcntl(command.stdout, fcntl.F_SETPIPE_SZ, 1 << 16)
        assert command.stdout.readline()
        command.stdout.close()
        noise = command.stderr.read().decode()
    assert command.returncode == 141
    assert "pipe" not in noise.lower()
    assert "Traceback" not in noise


def test_whoever_reads_no_progress_may_go_as_well(tmp_path: Path) -> None:
    """The last line of a verification goes to stderr."""
    (tmp_path / "data").mkdir()
    reading, writing = os.pipe()
    os.close(reading)
    verify = [sys.executable, "-m", "persistable", "verify", str(tmp_path / "data")]
    command = subprocess.run(verify, stdout=subprocess.PIPE, stderr=writing, check=False)
    os.close(writing)
    assert (command.returncode, command.stdout) == (141, b"")


def test_the_closed_pipe_of_a_storage_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that hangs up has not seen enough."""

    def hung_up(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "the server hung up")

    monkeypatch.setattr(ArtifactStore, "check", hung_up)
    assert cli.main(["verify", str(tmp_path)]) == 2
    assert capsys.readouterr() == ("", "python -m persistable: [Errno 32] the server hung up\n")


def test_ctrl_c_ends_a_command_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a traceback, with the status that shells give it."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ArtifactStore, "check", interrupted)
    assert cli.main(["verify", str(tmp_path)]) == 130
    assert capsys.readouterr() == ("", "python -m persistable: interrupted\n")


def test_a_store_is_not_whole_because_its_key_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped PERSISTABLE_SIGNING_KEY is an error of the command."""
    monkeypatch.setenv("PERSISTABLE_SIGNING_KEY", str(tmp_path / "nowhere"))
    (tmp_path / "data").mkdir()
    assert cli.main(["verify", str(tmp_path / "data")]) == 2
    assert "nowhere is not there" in capsys.readouterr().err


def test_workers_that_do_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the argument."""
    assert cli.main(["verify", str(tmp_path), "--workers=0"]) == 2
    assert capsys.readouterr().err == "python -m persistable: workers=0: give a number of threads, at least 1\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_for_terminals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    """There the line is written over; in a file there is one line at the end."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr("time.monotonic", iter(range(10**6)).__next__)
    damage(tmp_path, 3)
    assert cli.main(["verify", str(tmp_path), "--workers=1"]) == 1
    printed, noise = capsys.readouterr()
    assert printed.count("\n") == 3
    assert noise.endswith("3 artifacts, 0 MB, 3 with problems\n")
    assert ("\r" in noise) is terminal
    assert (noise.count("artifacts") > 1) is terminal
