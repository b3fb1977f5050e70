"""An hour on the air with a fault every minute: `python -m tests.soak`."""
