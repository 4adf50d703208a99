"""What each stage of a job takes."""

import time
from contextlib import contextmanager


class Stages:
    """Collects the seconds of each stage under its name: `with stages("name"): ...`."""

    def __init__(self):
        self.seconds = {}

    @contextmanager
    def __call__(self, name):
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
