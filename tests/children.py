"""Child processes for tests, forked from a process that has imported what takes seconds.

Each is a process of its own: it can be killed and stopped, and has its own limits and environment.
Only on POSIX.
"""

import atexit
import multiprocessing
import os
import sys
from multiprocessing.connection import wait

_SLOW_IMPORTS = ["sklearn_selreg.judges", "anthropic", "pytest", "sklearn.model_selection"]


class Child:
    """A process that calls a function; it has started when this is made.

    Parameters
    ----------
    function : callable
        Of a module, as it is found by name in the process.
    *args, **kwargs
        Its arguments.
    environment : dict of str to str, optional
        Environment variables to set before.
    """

    def __init__(self, function, *args, environment=(), **kwargs):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_SLOW_IMPORTS)
        self._result, result = context.Pipe(duplex=False)
        self._errors, errors = context.Pipe(duplex=False)
        call = (function, args, kwargs, dict(environment), result, errors)
        self._process = context.Process(target=_call, args=call)
        self._process.start()
        result.close(), errors.close()  # here, so that reading ends when the process does

    def is_alive(self):
        """Return whether the process still runs."""
        return self._process.is_alive()

    def send(self, signal):
        """Send a signal."""
        os.kill(self._process.pid, signal)

    def kill(self):
        """Kill the process, as by `kill -9`, and wait for its end; it may have ended already."""
        self._process.kill()
        self._process.join()

    def finish(self, timeout=300):
        """Return what the function returns, and what the process wrote to standard error."""
        errors = []
        while wait([self._errors], timeout) and (part := os.read(self._errors.fileno(), 1 << 16)):
            errors.append(part)
        errors = b"".join(errors).decode()
        try:
            result = self._result.recv() if self._result.poll() else None
        except EOFError:
            raise RuntimeError(errors) from None
        self._process.join(timeout)
        return result, errors


def _call(function, args, kwargs, environment, result, errors):
    os.dup2(errors.fileno(), sys.stderr.fileno())
    errors.close()
    os.environ.update(environment)
    result.send(function(*args, **kwargs))
    atexit._run_exitfuncs()  # multiprocessing leaves them out; a script would not
