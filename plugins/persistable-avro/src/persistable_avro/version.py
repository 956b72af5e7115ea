"""The version of this distribution, in one place: the build and ``persistable_avro.__version__`` read it here."""

__version__ = "2.0.0.dev0"
