"""The version, in one place: the package's metadata are read from here."""

__version__ = "0.1.0"
