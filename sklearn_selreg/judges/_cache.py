"""Where answers of judges are kept: one SQLite file, or memory, shared by all who ask.

The cache also holds what was spent, so that a budget counts over clones, searches and processes,
and who is asking what, so that two processes do not pay for one question.

Every change is one short transaction. In WAL mode with ``synchronous=NORMAL`` a process that is
killed at any moment loses nothing that was committed. SQLite's WAL mode does not work on network
file systems: one machine writes.
"""

import json
import os
import socket
import sqlite3
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import platformdirs

from ..exceptions import CacheError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, judge TEXT NOT NULL, ratings BLOB NOT NULL, problem TEXT, time REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS questions (
    key TEXT, user TEXT, history TEXT, candidates TEXT,
    PRIMARY KEY (key, user, history, candidates)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY, owner TEXT NOT NULL, batch TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY, alive_until REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    intent TEXT PRIMARY KEY, judge TEXT NOT NULL, owner TEXT NOT NULL, batch TEXT,
    requests TEXT NOT NULL, time REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_VERSION = 1
_LEASE = 10.0  # seconds after which an owner that gave no sign of life is taken for dead
_BEAT = 1.0  # seconds between signs of life
_BUSY = 60.0  # seconds to wait for another process's transaction
_HOST = socket.gethostname()

GRANTED, ANSWERED, TAKEN, OVER = "granted", "answered", "taken", "over"

_open = {}
_open_lock = threading.Lock()


def default_path():
    """Return the cache file in the user's cache directory."""
    return Path(platformdirs.user_cache_dir("sklearn_selreg", appauthor=False)) / "judgments.sqlite"


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
                "cache=None keeps them in memory alone."
            ) from error
    else:
        raise TypeError(f'cache must be "default", a path or None; got {cache!r}.')
    with _open_lock:
        found = _open.get((os.getpid(), name))
        if found is None or not found.is_current():
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
        self._owner = f"{_HOST}:{os.getpid()}:{uuid.uuid4().hex}"
        self._unsaved = {}  # answers that could not be written
        self._at_work = 0
        self._active = set()  # batches that somebody in this process waits for
        self.read_only = False
        self.trouble = None  # why nothing can be paid for
        self._connection = self._connect()
        self._file = None if path is None else _file_identity(path)

    def is_current(self):
        """Whether the path still names the file that was opened (nobody has deleted it)."""
        return self.path is None or _file_identity(self.path) == self._file

    # -- connection ----------------------------------------------------------------------------

    def _connect(self):
        if self.path is None:
            connection = self._sqlite(":memory:")
            connection.executescript(_SCHEMA)
            return connection
        try:
            if not self.path.exists():
                self._make_folder()
            if not self.path.exists() or os.access(self.path, os.W_OK):
                connection = self._sqlite(self.path)
                connection.execute("PRAGMA synchronous = NORMAL")
                _use_wal(connection)
                connection.execute("BEGIN IMMEDIATE")  # fails if the file is read-only
                if self._check_version(connection) == 0:
                    for statement in _SCHEMA.split(";"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
                connection.execute("COMMIT")
                return connection
        except sqlite3.OperationalError as error:
            if "readonly" not in str(error) and "read-only" not in str(error):
                raise CacheError(
                    f"The cache {self.path} cannot be opened: {error}. Name another file as "
                    "cache, as in cache='answers.sqlite'."
                ) from None
        except sqlite3.DatabaseError as error:
            raise CacheError(
                f"The cache {self.path} is no SQLite file of judgments: {error}. Name another one."
            ) from None
        return self._connect_read_only()

    def _make_folder(self):
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(
                f"The cache {self.path} cannot be made: {error}. Name another file as "
                "cache, as in cache='answers.sqlite'."
            ) from None

    def _connect_read_only(self):
        self.read_only = True
        error = None
        # In a directory that cannot be written to, SQLite reads a WAL file as immutable alone.
        for mode in ("mode=ro", "immutable=1"):
            try:
                connection = self._sqlite(f"{self.path.as_uri()}?{mode}", uri=True)
                self._check_version(connection)
                connection.execute("SELECT COUNT(*) FROM totals")
            except sqlite3.DatabaseError as failure:
                error = failure
            else:
                return connection
        raise CacheError(f"The cache {self.path} cannot be read: {error}.")

    def _sqlite(self, where, **options):
        return sqlite3.connect(
            where, timeout=_BUSY, isolation_level=None, check_same_thread=False, **options
        )

    def _check_version(self, connection):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if version > _VERSION or (version == 0 and tables):
            raise CacheError(
                f"The cache {self.path} is of another format (version {version}; expected "
                f"{_VERSION}). Name another file."
            )
        return version

    @contextmanager
    def _transaction(self):
        """Change the file, or leave it as it was."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # -- answers -------------------------------------------------------------------------------

    def get(self, keys):
        """Return the answers that there are.

        Parameters
        ----------
        keys : iterable of str

        Returns
        -------
        answers : dict of str to ndarray
            Ratings in the order asked.
        """
        keys = list(keys)
        with self._lock:
            self._save_unsaved()
            rows = self._connection.execute(
                "SELECT key, ratings FROM answers WHERE key IN (SELECT value FROM json_each(?))",
                (json.dumps(keys),),
            ).fetchall()
            unsaved = {key: self._unsaved[key][1] for key in keys if key in self._unsaved}
        return {key: np.frombuffer(blob, dtype="<f8") for key, blob in rows} | unsaved

    def has_answers(self, judge):
        """Whether there is any answer of a judge, given by the hash of its identity."""
        with self._lock:
            query = "SELECT EXISTS (SELECT 1 FROM answers WHERE judge = ?)"
            return bool(self._connection.execute(query, (judge,)).fetchone()[0])

    def store(self, judge, key, ratings, *, problem=None, counts=()):
        """Keep an answer, give up the claim on it, and add to the totals.

        Parameters
        ----------
        judge : str
            Hash of the judge's identity.
        key : str
        ratings : array-like of float
        problem : str or None
            Why ratings are missing.
        counts : dict of str to int
            What to add to the totals.

        Returns
        -------
        stored : bool
            False if the file could not be written to. The answer is then kept in memory, and
            written as soon as that is possible.
        """
        ratings = np.array(ratings, dtype="<f8")
        with self._lock:
            if not self.read_only:
                try:
                    with self._transaction() as connection:
                        self._write(connection, judge, key, ratings, problem)
                        self._add(connection, {"answers": 1, **dict(counts)})
                    return True
                except sqlite3.OperationalError as error:
                    self.trouble = str(error)
            self._unsaved[key] = (judge, ratings, problem, {"answers": 1, **dict(counts)})
            return False

    def _write(self, connection, judge, key, ratings, problem):
        connection.execute(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)",
            (key, judge, ratings.tobytes(), problem, time.time()),
        )
        connection.execute("DELETE FROM claims WHERE key = ?", (key,))

    def _save_unsaved(self):
        if not self._unsaved or self.read_only:
            return
        try:
            with self._transaction() as connection:
                for key, (judge, ratings, problem, counts) in self._unsaved.items():
                    self._write(connection, judge, key, ratings, problem)
                    self._add(connection, counts)
            self._unsaved = {}
        except sqlite3.OperationalError:
            pass

    def link(self, rows):
        """Remember which questions, by ids, keys stand for.

        Parameters
        ----------
        rows : list of (str, str, str, str)
            Key, and user, history and candidates as JSON.
        """
        if self.read_only or not rows:
            return
        with self._lock:
            try:
                with self._transaction() as connection:
                    connection.executemany(
                        "INSERT OR IGNORE INTO questions VALUES (?, ?, ?, ?)", rows
                    )
            except sqlite3.OperationalError:
                pass  # the next call with these questions writes it

    def export(self, judge):
        """Return (user, history, candidates, ratings) of a judge's answers, ids as JSON."""
        with self._lock:
            self._save_unsaved()
            rows = self._connection.execute(
                "SELECT user, history, candidates, ratings FROM questions JOIN answers USING (key) "
                "WHERE judge = ? ORDER BY user, history, key",
                (judge,),
            ).fetchall()
        return [(*ids, np.frombuffer(blob, dtype="<f8")) for *ids, blob in rows]

    # -- budget --------------------------------------------------------------------------------

    def begin(self, keys, cost=0, *, max_requests=None, max_cost=None):
        """Claim questions, and reserve the worst that asking them may cost.

        Parameters
        ----------
        keys : list of str
        cost : int or list of int, default=0
            In billionths of a dollar, for each.
        max_requests, max_cost : int or None
            Limits of the totals `requests` and `cost`. Without both nothing is counted.

        Returns
        -------
        states : list of str
            For each key `GRANTED`, `ANSWERED` (the cache has it), `TAKEN` (another one asks it) or
            `OVER` (it would exceed a limit).
        """
        costs = cost if isinstance(cost, list) else [cost] * len(keys)
        free = max_requests is None and max_cost is None
        try:
            if self._unsaved and not free:
                with self._lock:
                    self._save_unsaved()
                if self._unsaved:  # what is paid for should not pile up in memory
                    raise sqlite3.OperationalError(self.trouble)
            states = self._begin(keys, costs, max_requests, max_cost)
            self.trouble = None
            return states
        except sqlite3.OperationalError as error:  # full, or read-only
            if not free:
                self.trouble = str(error)
            found = self.get(keys)
            return [ANSWERED if key in found else GRANTED if free else OVER for key in keys]

    def _begin(self, keys, costs, max_requests, max_cost):
        states = []
        with self._transaction() as connection:
            now = time.time()
            for key, worst in zip(keys, costs, strict=True):
                state = self._state(connection, key, now)
                if state == GRANTED and not self._reserve(
                    connection, worst, max_requests, max_cost
                ):
                    state = OVER
                if state == GRANTED:
                    connection.execute(
                        "INSERT OR REPLACE INTO claims VALUES (?, ?, NULL)", (key, self._owner)
                    )
                states.append(state)
        return states

    def _state(self, connection, key, now):
        answered = connection.execute("SELECT 1 FROM answers WHERE key = ?", (key,)).fetchone()
        if answered or key in self._unsaved:
            return ANSWERED
        claim = connection.execute(
            "SELECT owner, batch, alive_until FROM claims LEFT JOIN owners USING (owner) "
            "WHERE key = ?",
            (key,),
        ).fetchone()
        if claim is None:
            return GRANTED
        owner, batch, alive_until = claim
        # A batch goes on without the process that sent it.
        return TAKEN if batch is not None or self._lives(owner, alive_until, now) else GRANTED

    def _lives(self, owner, alive_until, now):
        """Whether an owner is at work; one that is this object asks the same key twice."""
        if owner == self._owner:
            return True
        return alive_until is not None and alive_until > now and _process_exists(owner)

    def reserve(self, cost, *, max_requests=None, max_cost=None):
        """Reserve the cost of one more request for a claimed question; return whether it fits."""
        try:
            with self._transaction() as connection:
                return self._reserve(connection, cost, max_requests, max_cost)
        except sqlite3.OperationalError as error:
            self.trouble = str(error)
            return False

    def _reserve(self, connection, cost, max_requests, max_cost):
        if max_requests is None and max_cost is None:
            return True
        totals = dict(connection.execute("SELECT * FROM totals WHERE name IN ('requests', 'cost')"))
        if max_requests is not None and totals.get("requests", 0) + 1 > max_requests:
            return False
        if max_cost is not None and totals.get("cost", 0) + cost > max_cost:
            return False
        self._add(connection, {"requests": 1, "cost": cost})
        return True

    def count(self, counts):
        """Add to the totals; `cost` and `requests` correct what was reserved."""
        with self._lock:
            try:
                with self._transaction() as connection:
                    self._add(connection, counts)
            except sqlite3.OperationalError:
                pass  # the reservation stands: too much is counted, never too little

    @staticmethod
    def _add(connection, counts):
        connection.executemany(
            "INSERT INTO totals VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, int(value)) for name, value in counts.items() if value],
        )

    def totals(self):
        """Return all totals, a dict of str to int; `cost` is in billionths of a dollar."""
        with self._lock:
            return dict(self._connection.execute("SELECT * FROM totals ORDER BY name"))

    def release(self, keys):
        """Give up claims."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM claims WHERE key = ? AND owner = ?",
                [(key, self._owner) for key in keys],
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
                    self._active.clear()
                    try:
                        with self._transaction() as connection:
                            for table in ("owners", "claims"):
                                connection.execute(
                                    f"DELETE FROM {table} WHERE owner = ?"
                                    + (" AND batch IS NULL" if table == "claims" else ""),
                                    (self._owner,),
                                )
                    except sqlite3.OperationalError:
                        pass  # the lease runs out

    def _keep_beating(self, finished):
        while not finished.wait(_BEAT):
            self._beat()

    def _beat(self):
        try:
            with self._transaction() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO owners VALUES (?, ?)",
                    (self._owner, time.time() + _LEASE),
                )
        except sqlite3.OperationalError:
            pass

    # -- batches -------------------------------------------------------------------------------

    def intend_batch(self, judge, requests):
        """Write down that a batch will be sent, before it is.

        Parameters
        ----------
        judge : str
            Hash of the judge's identity.
        requests : dict of str to int
            Key and reserved cost of each claimed question.

        Returns
        -------
        intent : str
        """
        intent = uuid.uuid4().hex
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO batches VALUES (?, ?, ?, NULL, ?, ?)",
                (intent, judge, self._owner, json.dumps(requests), time.time()),
            )
            connection.executemany(
                "UPDATE claims SET batch = ? WHERE key = ?", [(intent, key) for key in requests]
            )
        self._active.add(intent)
        return intent

    def sent_batch(self, intent, batch):
        """Write down the id that the server gave to a batch."""
        with self._transaction() as connection:
            connection.execute("UPDATE batches SET batch = ? WHERE intent = ?", (batch, intent))

    def end_batch(self, intent, counts=()):
        """Forget a batch all of whose results are stored; what it left unanswered is free."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM batches WHERE intent = ?", (intent,))
            connection.execute("DELETE FROM claims WHERE batch = ?", (intent,))
            self._add(connection, dict(counts))
        self._active.discard(intent)

    def adopt_batches(self, judge, keys):
        """Take over those batches with any of these keys whose process is no more.

        Returns
        -------
        batches : list of (str, str or None, dict, float)
            Intent, id (None if it is not known whether it was sent), requests as given to
            `intend_batch`, and the time of the intent.
        """
        if self.read_only:
            return []
        adopted = []
        with self._transaction() as connection:
            now = time.time()
            rows = connection.execute(
                "SELECT intent, batch, requests, time, owner, alive_until FROM batches "
                "LEFT JOIN owners USING (owner) WHERE judge = ?",
                (judge,),
            ).fetchall()
            for intent, batch, requests, since, owner, alive_until in rows:
                mine = owner == self._owner
                if intent in self._active or (not mine and self._lives(owner, alive_until, now)):
                    continue
                requests = json.loads(requests)
                if requests.keys().isdisjoint(keys):
                    continue
                self._active.add(intent)
                connection.execute(
                    "UPDATE batches SET owner = ? WHERE intent = ?", (self._owner, intent)
                )
                connection.execute(
                    "UPDATE claims SET owner = ? WHERE batch = ?", (self._owner, intent)
                )
                adopted.append((intent, batch, requests, since))
        return adopted

    def known_batches(self):
        """Return the ids of all batches that somebody waits for."""
        with self._lock:
            rows = self._connection.execute("SELECT batch FROM batches WHERE batch IS NOT NULL")
            return {row[0] for row in rows}


def _use_wal(connection):
    """Switch to WAL mode; while another process does, SQLite does not wait by itself."""
    for _ in range(50):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(0.1)


def _file_identity(path):
    """Return what tells whether a path names the same file as before."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _process_exists(owner):
    """Whether an owner's process exists; True where that cannot be told."""
    host, pid, _ = owner.rsplit(":", 2)
    if host != _HOST or os.name != "posix":
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
