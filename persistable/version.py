"""The version of every distribution of this project: core and plugins move in lockstep."""

__version__ = "2.0.0.dev0"
