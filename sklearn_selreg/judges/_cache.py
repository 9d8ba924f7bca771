"""The cache of judges' answers: an SQLite file, or memory, shared by clones and processes.

The cache also stores the spending, so that a budget holds across clones, searches and processes,
and claims on prompts, so that two processes never pay for the same one.

Every change is one short transaction. In WAL mode with ``synchronous=NORMAL``, a process killed at
any moment loses nothing that was committed.

Claims belong to an *owner*: a random name with a counter that increases every second while it is at
work. An owner whose counter does not change for ten beats of another owner is considered dead, and
its claims are released. Clocks, process ids and host names are not compared, as containers may
share them.
"""

import atexit
import os
import sqlite3
import sys
import threading
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from .._utils._warn import warn
from ..exceptions import CacheError, CacheWarning
from ._answers import (
    Answer,
    find_failed,
    find_models,
    find_ratings,
    find_unsettled,
    insert_answer,
    mark,
)
from ._aside import files_aside, put_aside, read_aside, told_aside
from ._cache_file import (
    connect,
    copy_all,
    default_path,
    file_identity,
    is_damaged,
    is_readable_by_others,
    remove_left,
    salvage,
    side_files,
)

NANO = 1_000_000_000  # costs are stored in billionths of a dollar
_BEAT = 1.0  # seconds between heartbeats
_STILL = 10  # beats without a heartbeat after which an owner is considered dead

GRANTED, ANSWERED, TAKEN = "granted", "answered", "taken"

_open: dict[tuple, "JudgmentCache"] = {}  # by process and name
_open_lock = threading.Lock()


class Unwritable(Exception):
    """The file is currently not writable: it is read-only, or the disk is full."""


def open_cache(cache, identity):
    """Return the cache for a judge's parameter, opened at most once per process.

    Parameters
    ----------
    cache : "default", path, or None
        The file in the user's cache directory, another file, or memory shared by the judges with
        the same identity.
    identity : hashable
        Identity of the judge.

    Returns
    -------
    cache : JudgmentCache
    """
    if cache is None:
        name = ("memory", identity)
    elif isinstance(cache, str | os.PathLike):
        try:
            path = default_path() if cache == "default" else Path(cache)
            name = ("file", path.expanduser().resolve())
        except RuntimeError as error:  # no home directory, e.g. an unknown user id in a container
            raise CacheError(
                f"No location for the cache {os.fspath(cache)!r}: {error}. Name a file, as in "
                'cache="answers.sqlite", set the environment variable HOME, or use cache=None to '
                "keep answers in memory only."
            ) from error
    else:
        raise TypeError(f'cache must be "default", a path or None; got {cache!r}.')
    with _open_lock:
        found = _open.get((os.getpid(), name))
        if found is None or found.is_left():
            found = JudgmentCache(None if cache is None else name[1])
            _open[os.getpid(), name] = found
        return found


class JudgmentCache:
    """A thread-safe cache, in a file or in memory.

    Parameters
    ----------
    path : Path or None
        If None, the cache is in memory.
    """

    def __init__(self, path):
        self.path = path
        self._lock = threading.RLock()
        self.owner = uuid.uuid4().hex
        self._watched = {}  # by other owner: its counter, and the number of beats without change
        self._unsaved = {}  # answers that could not be written
        self._aside = None  # file with the unsaved answers
        self._notices = []  # pending warnings
        self._at_work = 0
        self.active = set()  # batches that this process waits for
        self.trouble = None  # why the last write of an answer failed
        self._damage = None  # message if the file is damaged
        self._connection, self.read_only = connect(path)
        self._file = None if path is None else file_identity(path)
        self._sides = {} if path is None else side_files(path)
        if is_readable_by_others(path):
            self._notices.append(
                f"The cache {path} is readable by other users of this machine, and contains users' "
                f"likes. Restrict access: chmod 600 {path}"
            )
        self._take_in()

    # -- connection ----------------------------------------------------------------------------

    def _is_current(self):
        """Whether the path still refers to the open file."""
        return self.path is None or file_identity(self.path) == self._file

    def is_left(self):
        """Whether the cache is idle and its file was deleted or replaced."""
        return not (self._at_work or self._unsaved or self._is_current())

    def _follow(self):
        """Copy everything to the new file if the old one was deleted or replaced."""
        if self._is_current():
            return
        try:
            remove_left(self._sides)
            new, read_only = connect(self.path)
            if read_only:
                new.close()
                raise Unwritable("it is read-only")
            copy_all(self._connection, new)
        except (CacheError, sqlite3.OperationalError, OSError) as error:
            raise Unwritable(str(error)) from None
        self._connection.close()
        self._connection, self._file = new, file_identity(self.path)
        self._sides = side_files(self.path)
        self._notices.append(
            f"The cache {self.path} was deleted or replaced while in use. All answers and the "
            "spending were copied to the new file."
        )

    @contextmanager
    def write(self):
        """Run a transaction; raise Unwritable if the file cannot be changed."""
        with self._lock:
            if self.read_only:
                raise Unwritable("it is read-only")
            try:
                while True:
                    self._follow()
                    self._connection.execute("BEGIN IMMEDIATE")
                    if self._is_current():
                        break
                    self._connection.execute("ROLLBACK")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                if is_damaged(error):
                    failure = self._damaged(error)
                elif isinstance(error, sqlite3.OperationalError):
                    failure = Unwritable(str(error))
                else:
                    raise
            else:
                return
        raise failure

    @contextmanager
    def read(self):
        """Read from the open file, even if it was deleted."""
        with self._lock:
            with suppress(Unwritable):
                self._save_unsaved()
            try:
                yield self._connection
                return
            except sqlite3.OperationalError as error:
                failure = CacheError(f"The cache {self.path} cannot be read: {error}.")
            except sqlite3.DatabaseError as error:
                if not is_damaged(error):
                    raise
                failure = self._damaged(error)
        raise failure

    def _damaged(self, error):
        """Return the exception for a damaged file; salvage its readable part the first time."""
        if self._damage is not None:
            return CacheError(self._damage)
        salvaged, n_answers, knows_totals = salvage(self.path)
        if salvaged is None:
            what = "Nothing could be recovered. Name another file as cache."
        else:
            spent = (
                ""
                if knows_totals
                else " The spending was lost: reduce max_cost and max_requests accordingly."
            )
            what = (
                f"{n_answers} answers were recovered to {salvaged}: name that file as cache, or "
                f"replace the damaged one with it.{spent}"
            )
        self._damage = f"The cache {self.path} is damaged: {error}. {what}"
        return CacheError(self._damage)

    def tell(self):
        """Issue pending warnings about the file."""
        with self._lock:
            notices, self._notices = self._notices, []
        for notice in notices:
            warn(notice, CacheWarning)

    # -- answers -------------------------------------------------------------------------------

    def get(self, keys, settled=False):
        """Return the existing answers.

        Parameters
        ----------
        keys : iterable of str
        settled : bool, default=False
            Whether to leave out provisional answers.

        Returns
        -------
        answers : dict of str to ndarray
            Ratings in the order shown, by key.
        """
        keys = list(keys)
        with self.read() as connection:
            found = find_ratings(connection, keys, settled)
            unsaved = {k: self._unsaved[k][1].ratings for k in keys if k in self._unsaved}
        return found | unsaved

    def forget(self, keys):
        """Delete invalid answers."""
        with suppress(Unwritable), self.write() as connection:
            connection.executemany("DELETE FROM answers WHERE key = ?", [(key,) for key in keys])

    def to_ask_again(self, keys, limits, mark_longer=True):
        """Return the keys of provisional answers, whose prompts are to be sent again.

        These are the answers marked by :meth:`ask_again`, and those truncated at a smaller limit.

        Parameters
        ----------
        keys : iterable of str
        limits : dict of str to (int, int)
            By key, the current token limit of an answer, and that of older versions, which did
            not store it.
        mark_longer : bool, default=True
            Whether to mark the answers that were truncated at a smaller limit.

        Returns
        -------
        keys : set of str
        """
        if self.read_only:
            return set()
        with self.read() as connection:
            rows = find_unsettled(connection, keys)
        longer = [k for k, again, n in rows if not again and limits[k][0] > (n or limits[k][1])]
        if longer and mark_longer:
            with suppress(Unwritable), self.write() as connection:
                mark(connection, longer)
        return {key for key, again, _ in rows if again}.union(longer)

    def ask_again(self, judge, problems):
        """Mark a judge's answers with these problems as provisional, and return their number."""
        with self.write() as connection:
            keys = find_failed(connection, judge, problems)
            mark(connection, keys)
        return len(keys)

    def models(self, keys):
        """Count the answers per model, as reported by the service."""
        if self.read_only:
            return {}
        with self.read() as connection:
            return find_models(connection, keys)

    def has_answers(self, judge):
        """Whether the cache has answers of a judge, given by the hash of its identity."""
        with self.read() as connection:
            query = "SELECT EXISTS (SELECT 1 FROM answers WHERE judge = ?)"
            return bool(connection.execute(query, (judge,)).fetchone()[0])

    def store(self, judge, key, answer, *, counts=()):
        """Store an answer, release the claim on it, and update the totals.

        Parameters
        ----------
        judge : str
            Hash of the judge's identity.
        key : str
        answer : Answer
        counts : dict of str to int
            Increments of the totals.

        Returns
        -------
        stored : bool
            False if the file is not writable. The answer is then kept in memory and, if possible,
            in another file, until it can be written.
        """
        counts = dict(counts)
        try:
            with self.write() as connection:
                n_new = self.insert(connection, key, judge, answer)
                self.add(connection, {"answers": n_new, **counts})
            return True
        except Unwritable as error:
            with self._lock:
                self.trouble = str(error)
                kept = {key: (judge, answer, {"answers": 1, **counts})}
                self._unsaved |= kept
                if not self.read_only:
                    self._aside = put_aside(self.path, self.owner, kept, self._aside)
            return False

    @staticmethod
    def insert(connection, key, judge, answer):
        """Write an answer and release its claim, unless provisional; return 1 if the key is new."""
        if not answer.again:
            connection.execute("DELETE FROM claims WHERE key = ?", (key,))
        return insert_answer(connection, key, judge, answer)

    def _save_unsaved(self):
        if not self._unsaved or self.read_only:
            return
        with self.write() as connection:
            for key, (judge, answer, counts) in self._unsaved.items():
                # Another process may already have read it from the file aside.
                if self.insert(connection, key, judge, answer):
                    self.add(connection, counts)
        self._unsaved = {}
        if self._aside is not None:
            with suppress(OSError):
                self._aside.unlink()
            self._aside = None

    def link(self, rows):
        """Store the ids of the slates behind the keys.

        Parameters
        ----------
        rows : list of (str, str, str, str)
            Key, and user, history and candidates as JSON.
        """
        if self.read_only or not rows:
            return
        # On failure, the next call with these slates writes the rows.
        with suppress(Unwritable), self.write() as connection:
            connection.executemany("INSERT OR IGNORE INTO questions VALUES (?, ?, ?, ?)", rows)

    def export(self, judge):
        """Return (user, history, candidates, ratings) of a judge's answers, ids as JSON."""
        with self.read() as connection:
            rows = connection.execute(
                "SELECT user, history, candidates, ratings FROM questions JOIN answers USING (key) "
                "WHERE judge = ? ORDER BY user, history, key",
                (judge,),
            ).fetchall()
        return [(*ids, np.frombuffer(blob, dtype="<f8")) for *ids, blob in rows]

    # -- answers that could not be written -----------------------------------------------------

    def _take_in(self):
        """Store answers that ended processes could only write to files aside."""
        if self.path is None or self.read_only:
            return
        for file in files_aside(self.path):
            with suppress(OSError, Unwritable, ValueError):
                records = read_aside(file)
                with self.write() as connection:
                    for key, judge, kept, counts in records:
                        if self.insert(connection, key, judge, Answer(**kept)):
                            self.add(connection, counts)
                if records:
                    file.unlink()

    def leave(self):
        """Save unsaved answers at the end of the process, and print where they are."""
        with suppress(Unwritable, CacheError):
            self._save_unsaved()
        if self._unsaved and not self.read_only:
            aside = put_aside(self.path, self.owner, self._unsaved, self._aside)
            print(told_aside(self.path, self.owner, self._unsaved, aside), file=sys.stderr)

    # -- claims --------------------------------------------------------------------------------

    def claim(self, keys):
        """Claim prompts, so that no other thread or process sends them.

        Parameters
        ----------
        keys : list of str

        Returns
        -------
        states : list of str
            For each key, `GRANTED`, `ANSWERED` (in the cache) or `TAKEN` (claimed elsewhere).

        Raises
        ------
        Unwritable
        """
        with self.write() as connection:
            states = [self.state(connection, key) for key in keys]
            granted = [key for key, s in zip(keys, states, strict=True) if s == GRANTED]
            self.insert_claims(connection, granted)
        return states

    def insert_claims(self, connection, keys, batch=None):
        connection.executemany(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)",
            [(key, self.owner, batch) for key in keys],
        )

    def state(self, connection, key):
        answered = connection.execute(
            "SELECT 1 FROM answers WHERE key = ? AND NOT again", (key,)
        ).fetchone()
        if answered or key in self._unsaved:
            return ANSWERED
        claim = connection.execute(
            "SELECT owner, batch, beats FROM claims LEFT JOIN owners USING (owner) WHERE key = ?",
            (key,),
        ).fetchone()
        if claim is None:
            return GRANTED
        owner, batch, beats = claim
        # A batch continues without the process that sent it; our own claims are another thread's.
        taken = batch is not None or owner == self.owner or beats is not None
        return TAKEN if taken else GRANTED

    def release(self, keys):
        """Release claims."""
        with suppress(Unwritable), self.write() as connection:
            connection.executemany(
                "DELETE FROM claims WHERE key = ? AND owner = ?",
                [(key, self.owner) for key in keys],
            )

    @contextmanager
    def at_work(self):
        """Send heartbeats, so that other processes respect the claims of this one."""
        if self.read_only:
            yield
            return
        with self._lock:
            self._at_work += 1
            if self._at_work == 1:
                self._beat()
                self._finished = threading.Event()
                arguments = (self._finished,)
                threading.Thread(target=self._keep_beating, args=arguments, daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1
                if self._at_work == 0:
                    self._finished.set()
                    self.active.clear()
                    # On failure, others notice that the heartbeats have stopped.
                    with suppress(Unwritable, CacheError), self.write() as connection:
                        owner = (self.owner,)
                        connection.execute("DELETE FROM owners WHERE owner = ?", owner)
                        connection.execute(
                            "DELETE FROM claims WHERE owner = ? AND batch IS NULL", owner
                        )

    def _keep_beating(self, finished):
        while not finished.wait(_BEAT):
            self._beat()

    def _beat(self):
        """Send a heartbeat, and check those of others."""
        with suppress(Unwritable, CacheError), self.write() as connection:
            connection.execute(
                "INSERT INTO owners VALUES (?, 1) "
                "ON CONFLICT (owner) DO UPDATE SET beats = beats + 1",
                (self.owner,),
            )
            others = dict(
                connection.execute("SELECT * FROM owners WHERE owner <> ?", (self.owner,))
            )
            watched = {}
            for owner, beats in others.items():
                before, still = self._watched.get(owner, (None, 0))
                watched[owner] = beats, still + 1 if beats == before else 0
            self._watched = watched
            dead = [(owner,) for owner, (_, still) in watched.items() if still >= _STILL]
            connection.executemany("DELETE FROM owners WHERE owner = ?", dead)

    # -- budget --------------------------------------------------------------------------------

    def reserve(self, cost, *, max_requests=None, max_cost=None):
        """Charge a request before it is sent, at its maximum cost.

        Parameters
        ----------
        cost : int
            Maximum cost in billionths of a dollar.
        max_requests, max_cost : int or None
            Limits on the totals `requests` and `cost`.

        Returns
        -------
        reserved : bool
            False if the request would exceed a limit.

        Raises
        ------
        Unwritable
        """
        with self._lock:
            self._save_unsaved()  # paid answers should not pile up in memory
            with self.write() as connection:
                return self.reserve_in(connection, cost, max_requests, max_cost)

    def reserve_in(self, connection, cost, max_requests, max_cost):
        totals = dict(connection.execute("SELECT * FROM totals WHERE name IN ('requests', 'cost')"))
        if max_requests is not None and totals.get("requests", 0) + 1 > max_requests:
            return False
        if max_cost is not None and totals.get("cost", 0) + cost > max_cost:
            return False
        self.add(connection, {"requests": 1, "cost": cost})
        return True

    def count(self, counts):
        """Add to the totals; `cost` and `requests` correct the reservation."""
        # On failure the reservation remains: spending may be overestimated, never underestimated.
        with suppress(Unwritable), self.write() as connection:
            self.add(connection, counts)

    @staticmethod
    def add(connection, counts):
        connection.executemany(
            "INSERT INTO totals VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, int(value)) for name, value in counts.items() if value],
        )

    def totals(self):
        """Return all totals, a dict of str to int; `cost` is in billionths of a dollar."""
        with self.read() as connection:
            return dict(connection.execute("SELECT name, value FROM totals ORDER BY name"))


@atexit.register
def _leave_all():
    for (process, _), cache in list(_open.items()):
        if process == os.getpid():
            cache.leave()
