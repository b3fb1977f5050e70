"""Steadycast: keeps an AzuraCast station on the air, around the clock, with a picture for every track."""

__version__ = "0.1.0"
