"""Where answers of judges are kept: one SQLite file, or memory, shared by all who ask.

The cache also holds what was spent, so that a budget counts over clones, searches and processes,
and who is asking what, so that two processes do not pay for one prompt.

Every change is one short transaction. In WAL mode with ``synchronous=NORMAL`` a process that is
killed at any moment loses nothing that was committed.

Who asks is an *owner*: a random name, and a counter that grows each second while it is at work. One
whose counter stands still for ten beats of another owner is taken for dead, and what it claimed is
free again. No clock, process number or host name is compared, as containers may share those.
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

NANO = 1_000_000_000  # costs are counted in billionths of a dollar
_BEAT = 1.0  # seconds between signs of life
_STILL = 10  # beats after which an owner that gave no sign of life is taken for dead

GRANTED, ANSWERED, TAKEN = "granted", "answered", "taken"

_open: dict[tuple, "JudgmentCache"] = {}  # by process and name
_open_lock = threading.Lock()


class Unwritable(Exception):
    """A file that cannot be written to now: it is read-only, or the disk is full."""


def open_cache(cache, identity):
    """Return the cache that a judge's parameter names, opened at most once a process.

    Parameters
    ----------
    cache : "default", path, or None
        The file in the user's cache directory, another file, or memory shared by the judges of
        one identity.
    identity : hashable
        Of the judge.

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
        except RuntimeError as error:  # as of a user of a container who is in no list of users
            raise CacheError(
                f"The cache {os.fspath(cache)!r} has no place: {error}. Name a file for the "
                'answers, as in cache="answers.sqlite", or set the environment variable HOME; '
                "cache=None keeps them only in memory."
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
    """One cache, of a file or in memory; safe to use from several threads.

    Parameters
    ----------
    path : Path or None
        None: in memory.
    """

    def __init__(self, path):
        self.path = path
        self._lock = threading.RLock()
        self.owner = uuid.uuid4().hex
        self._watched = {}  # of other owners: their counter, and for how many beats it stands still
        self._unsaved = {}  # answers that could not be written
        self._aside = None  # file that has them, until they can be
        self._notices = []  # what the user is to be told
        self._at_work = 0
        self.active = set()  # batches that somebody in this process waits for
        self.trouble = None  # why the last answer that was not written could not be
        self._damage = None  # what to say of a damaged file
        self._connection, self.read_only = connect(path)
        self._file = None if path is None else file_identity(path)
        self._sides = {} if path is None else side_files(path)
        if is_readable_by_others(path):
            self._notices.append(
                f"Other users of this machine may read the cache {path}, which says who likes "
                f"what. Forbid it: chmod 600 {path}"
            )
        self._take_in()

    # -- connection ----------------------------------------------------------------------------

    def _is_current(self):
        """Whether the path still names the file that is open."""
        return self.path is None or file_identity(self.path) == self._file

    def is_left(self):
        """Whether somebody has deleted the file of an idle cache, to begin another one."""
        return not (self._at_work or self._unsaved or self._is_current())

    def _follow(self):
        """Notice that the file was deleted or replaced, and copy everything to the new one."""
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
            f"The cache {self.path} was deleted or replaced while it was in use. All answers and "
            "what was spent were written to the file there is now."
        )

    @contextmanager
    def write(self):
        """Change the file, or leave it as it was; raise Unwritable if it cannot be changed."""
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
        """Read from the file, or from the one that was deleted."""
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
        """Return the exception for a damaged file, after saving once what can be read of it."""
        if self._damage is not None:
            return CacheError(self._damage)
        salvaged, n_answers, knows_totals = salvage(self.path)
        if salvaged is None:
            what = "Nothing of it can be read. Name another file as cache."
        else:
            spent = (
                ""
                if knows_totals
                else " What was spent cannot be read: lower max_cost and max_requests by it."
            )
            what = (
                f"Its {n_answers} answers that can be read are in {salvaged}: name that file as "
                f"cache, or put it in place of the damaged one.{spent}"
            )
        self._damage = f"The cache {self.path} is damaged: {error}. {what}"
        return CacheError(self._damage)

    def tell(self):
        """Warn of what has happened to the file, once."""
        with self._lock:
            notices, self._notices = self._notices, []
        for notice in notices:
            warn(notice, CacheWarning)

    # -- answers -------------------------------------------------------------------------------

    def get(self, keys, settled=False):
        """Return the answers that there are.

        Parameters
        ----------
        keys : iterable of str
        settled : bool, default=False
            Whether to leave out those that are to be asked again.

        Returns
        -------
        answers : dict of str to ndarray
            Ratings in the order asked.
        """
        keys = list(keys)
        with self.read() as connection:
            found = find_ratings(connection, keys, settled)
            unsaved = {k: self._unsaved[k][1].ratings for k in keys if k in self._unsaved}
        return found | unsaved

    def forget(self, keys):
        """Take answers out that are none."""
        with suppress(Unwritable), self.write() as connection:
            connection.executemany("DELETE FROM answers WHERE key = ?", [(key,) for key in keys])

    def to_ask_again(self, keys, limits, mark_longer=True):
        """Return the keys of answers that are only used until there is a better one.

        Those are what :meth:`ask_again` has marked, and what a smaller limit cut off.

        Parameters
        ----------
        keys : iterable of str
        limits : dict of str to (int, int)
            By key the length that an answer is allowed now, and that of older versions, which did
            not write it down.
        mark_longer : bool, default=True
            Whether to mark what a smaller limit cut off, as it will be asked.

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
        """Mark a judge's answers with these problems, and return how many they are."""
        with self.write() as connection:
            keys = find_failed(connection, judge, problems)
            mark(connection, keys)
        return len(keys)

    def models(self, keys):
        """Return how many of some answers each model gave, by the name that the service says."""
        if self.read_only:
            return {}
        with self.read() as connection:
            return find_models(connection, keys)

    def has_answers(self, judge):
        """Whether there is any answer of a judge, given by the hash of its identity."""
        with self.read() as connection:
            query = "SELECT EXISTS (SELECT 1 FROM answers WHERE judge = ?)"
            return bool(connection.execute(query, (judge,)).fetchone()[0])

    def store(self, judge, key, answer, *, counts=()):
        """Keep an answer, give up the claim on it, and add to the totals.

        Parameters
        ----------
        judge : str
            Hash of the judge's identity.
        key : str
        answer : Answer
        counts : dict of str to int
            What to add to the totals.

        Returns
        -------
        stored : bool
            False if the file could not be written to. The answer is then kept in memory and, if
            there is room anywhere, in another file, and written as soon as that is possible.
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
        """Write an answer and give up the claim on it; return 1 if there was none, else 0.

        Who asks once more keeps the claim.
        """
        if not answer.again:
            connection.execute("DELETE FROM claims WHERE key = ?", (key,))
        return insert_answer(connection, key, judge, answer)

    def _save_unsaved(self):
        if not self._unsaved or self.read_only:
            return
        with self.write() as connection:
            for key, (judge, answer, counts) in self._unsaved.items():
                # Another process may have done it, from the file aside.
                if self.insert(connection, key, judge, answer):
                    self.add(connection, counts)
        self._unsaved = {}
        if self._aside is not None:
            with suppress(OSError):
                self._aside.unlink()
            self._aside = None

    def link(self, rows):
        """Remember which slates, by ids, keys stand for.

        Parameters
        ----------
        rows : list of (str, str, str, str)
            Key, and user, history and candidates as JSON.
        """
        if self.read_only or not rows:
            return
        # If it fails, the next call with these slates writes it.
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

    # -- answers that there is no room for -----------------------------------------------------

    def _take_in(self):
        """Store what was put aside by a process that ended before there was room again."""
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
        """Save, at the end of the process, what could not be written; print where it is."""
        with suppress(Unwritable, CacheError):
            self._save_unsaved()
        if self._unsaved and not self.read_only:
            aside = put_aside(self.path, self.owner, self._unsaved, self._aside)
            print(told_aside(self.path, self.owner, self._unsaved, aside), file=sys.stderr)

    # -- claims --------------------------------------------------------------------------------

    def claim(self, keys):
        """Claim prompts, so that nobody else asks them.

        Parameters
        ----------
        keys : list of str

        Returns
        -------
        states : list of str
            For each key `GRANTED`, `ANSWERED` (the cache has it) or `TAKEN` (somebody asks it).

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
        # A batch goes on without the process that sent it. With our own name, another thread asks.
        taken = batch is not None or owner == self.owner or beats is not None
        return TAKEN if taken else GRANTED

    def release(self, keys):
        """Give up claims."""
        with suppress(Unwritable), self.write() as connection:
            connection.executemany(
                "DELETE FROM claims WHERE key = ? AND owner = ?",
                [(key, self.owner) for key in keys],
            )

    @contextmanager
    def at_work(self):
        """Show other processes that this one is alive, so that they respect its claims."""
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
                    # If it fails, others notice that the counter stands still.
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
        """Give a sign of life, and look for those of others."""
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
        """Count a request before it is sent, at the worst that it may cost.

        Parameters
        ----------
        cost : int
            In billionths of a dollar.
        max_requests, max_cost : int or None
            Limits of the totals `requests` and `cost`.

        Returns
        -------
        reserved : bool
            False if it would exceed a limit.

        Raises
        ------
        Unwritable
        """
        with self._lock:
            self._save_unsaved()  # what is paid for should not pile up in memory
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
        """Add to the totals; `cost` and `requests` correct what was reserved."""
        # If it fails the reservation stands: too much is counted, never too little.
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
