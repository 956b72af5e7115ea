"""Campaigns: the promises about reliability and trust, put to the test by faults, damage, races and hostile files.

    python -m tests.campaigns --list
    python -m tests.campaigns [--full] [--only NAME] [--seed N] [--out DIR] [--resume]

A campaign is a module with one idea: what is done to a store, and an oracle that says what was found, past the code
under test where that is possible (bare ``json``, ``numpy``, ``pyarrow``, a look at the folder). Each case gives one row
of the scoreboard: rounds, faults (every one of which has to be zero), and what was seen besides. The short version of
every case is a test of ``tests/test_campaigns.py``; the full one has the marker ``campaign``, and the runner writes its
results to ``docs/reliability-scoreboard.{json,md}``.

Campaigns use the public face of persistable and the layout of the files only.
"""
