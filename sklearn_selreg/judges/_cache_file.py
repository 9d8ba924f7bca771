"""The SQLite file of a cache: creation, migration, copying and salvage.

SQLite's WAL mode does not work on network file systems: only one machine may write, from any number
of processes and containers.
"""

import os
import sqlite3
import time
import uuid
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ..exceptions import CacheError

VERSION = 3
_BUSY = 60.0  # seconds to wait for another process's transaction
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, judge TEXT NOT NULL, ratings BLOB NOT NULL, problem TEXT, time REAL,
    max_tokens INTEGER, model TEXT, address TEXT, again INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS questions (
    key TEXT, user TEXT, history TEXT, candidates TEXT,
    PRIMARY KEY (key, user, history, candidates)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY, owner TEXT NOT NULL, batch TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY, beats INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    intent TEXT PRIMARY KEY, judge TEXT NOT NULL, owner TEXT NOT NULL, batch TEXT,
    requests TEXT NOT NULL, time REAL, newest TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
_FROM_1 = """
DROP TABLE owners;
ALTER TABLE batches ADD COLUMN newest TEXT;
"""
_FROM_2 = """
ALTER TABLE answers ADD COLUMN max_tokens INTEGER;
ALTER TABLE answers ADD COLUMN model TEXT;
ALTER TABLE answers ADD COLUMN address TEXT;
ALTER TABLE answers ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
"""
_COPIED = ("answers", "questions", "claims", "owners", "batches")


def default_path():
    """Return the cache file in the user's cache directory."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("sklearn_selreg", appauthor=False)) / "judgments.sqlite"


def file_identity(path):
    """Return the device and inode of a path, to detect replaced files; None without a file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_damaged(error):
    """Whether an SQLite error reports a damaged file; such errors have no class of their own."""
    return type(error) is sqlite3.DatabaseError


def connect(path):
    """Open a cache, creating it if necessary.

    Parameters
    ----------
    path : Path or None
        If None, the cache is in memory.

    Returns
    -------
    connection : sqlite3.Connection
    read_only : bool

    Raises
    ------
    CacheError
    """
    if path is None:
        connection = _open(":memory:")
        _bring_up_to_date(connection, path)
        return connection, False
    try:
        if not path.exists():
            _make(path)
        if os.access(path, os.W_OK):
            return _connect_to_write(path), False
    except sqlite3.OperationalError as error:
        failure = _cannot(path, "opened", error)
        if not any(why in str(error) for why in ("readonly", "read-only", "unable to open")):
            raise failure from None
    except sqlite3.DatabaseError as error:
        raise CacheError(
            f"The cache {path} is not an SQLite file of judgments: {error}. Name another file."
        ) from None
    except OSError as error:
        raise _cannot(path, "created", error) from None
    else:
        failure = None
    try:
        return _connect_to_read(path), True
    except CacheError as error:
        raise failure or error from None


def _cannot(path, what, error):
    return CacheError(
        f"The cache {path} cannot be {what}: {error}. Name another file as cache, as in "
        "cache='answers.sqlite'."
    )


def _open(where, **options):
    return sqlite3.connect(
        where, timeout=_BUSY, isolation_level=None, check_same_thread=False, **options
    )


def _connect_to_write(path):
    connection = _open(path)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        _use_wal(connection)
        _bring_up_to_date(connection, path)  # fails if the file is read-only
    except BaseException:  # an open connection may hold a lock
        connection.close()
        raise
    return connection


def _connect_to_read(path):
    error = None
    # In a read-only directory, SQLite can only open a WAL file as immutable.
    for mode in ("mode=ro", "immutable=1"):
        connection = None
        try:
            connection = _open(f"{path.as_uri()}?{mode}", uri=True)
            check_version(connection, path)
            connection.execute("SELECT COUNT(*) FROM totals")
        except (sqlite3.DatabaseError, CacheError) as failure:
            if connection is not None:
                connection.close()
            if isinstance(failure, CacheError):
                raise
            error = failure
        else:
            return connection
    raise CacheError(f"The cache {path} cannot be read: {error}.")


def check_version(connection, path):
    """Return the version of a cache; raise CacheError for newer versions and other databases."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    if version > VERSION or (version == 0 and tables):
        raise CacheError(
            f"The cache {path} has an unknown format (version {version}; expected at most "
            f"{VERSION}). Name another file."
        )
    return version


def _bring_up_to_date(connection, path):
    """Create the tables, or migrate those of an older version, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = check_version(connection, path)
        if version < VERSION:
            changes = (_FROM_1 if version == 1 else "") + (_FROM_2 if version in (1, 2) else "")
            for statement in (changes + _SCHEMA).split(";"):
                connection.execute(statement)
            identity = ("identity", uuid.uuid4().hex)
            connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", identity)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _use_wal(connection):
    """Switch to WAL mode; retry, as SQLite does not wait for other processes that do the same."""
    for _ in range(50):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(0.1)


# -- permissions -------------------------------------------------------------------------------


def make_folder(folder):
    """Create a folder and its missing parents, readable by their owner only."""
    if not folder.exists():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def private_opener(path, flags):
    """Open a file; a new one is readable by its owner only."""
    return os.open(path, flags, 0o600)


def side_files(path):
    """Return the paths of SQLite's auxiliary files, with their identities."""
    sides = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
    return {side: file_identity(side) for side in sides}


def remove_left(sides):
    """Remove auxiliary files of a replaced database, which SQLite would use for the new one."""
    for side, identity in sides.items():
        if identity is not None and file_identity(side) == identity:
            side.unlink(missing_ok=True)


def _make(path):
    """Create an empty cache, after removing auxiliary files of a deleted one.

    Those belong to processes that still have the deleted file open; SQLite would use them for the
    new one.
    """
    make_folder(path.parent)
    with _folder_locked(path.parent):
        if path.exists():
            return
        remove_left(side_files(path))
        os.close(private_opener(path, os.O_CREAT | os.O_RDWR))
        _connect_to_write(path).close()


@contextmanager
def _folder_locked(folder):
    """Lock a folder, so that processes do not create the file at the same time."""
    try:
        import fcntl
    except ImportError:  # on Windows, open files cannot be deleted
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # the folder may be writable but not readable
        yield
        return
    try:
        with suppress(OSError):  # not supported by all file systems
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_readable_by_others(path):
    """Whether other users may read a file of this user."""
    if path is None or os.name != "posix":
        return False
    try:
        status = os.stat(path)
    except OSError:
        return False
    return status.st_uid == os.getuid() and bool(status.st_mode & 0o077)


# -- copies ------------------------------------------------------------------------------------


def copy_all(old, new):
    """Copy all rows of a replaced cache into the new one.

    The first process to notice does this once and records it in the old cache. If it is killed
    between the two commits, another process copies again; each total is then the larger one.

    Parameters
    ----------
    old, new : sqlite3.Connection
    """
    old.execute("BEGIN IMMEDIATE")
    try:
        if not old.execute("SELECT 1 FROM meta WHERE name = 'moved'").fetchone():
            new.execute("BEGIN IMMEDIATE")
            _copy_rows(old, new)
            new.execute("COMMIT")
            old.execute("INSERT INTO meta VALUES ('moved', '')")
        old.execute("COMMIT")
    except BaseException:
        for connection in (new, old):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise


def _copy_rows(old, new):
    for table in _COPIED:
        _insert_rows(new, table, old.execute(f"SELECT * FROM {table}"))
    name = old.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()[0]
    known = new.execute("SELECT 1 FROM meta WHERE value = ?", (name,)).fetchone()
    both = "MAX(value, excluded.value)" if known else "value + excluded.value"
    new.executemany(
        f"INSERT INTO totals VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = {both}",
        old.execute("SELECT name, value FROM totals"),
    )
    new.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (f"copy of {name}", name))


def _insert_rows(connection, table, rows):
    """Insert the rows of a cursor, possibly from a table of an older version."""
    names = [column[0] for column in rows.description]
    connection.executemany(
        f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) "
        f"VALUES ({', '.join('?' * len(names))})",
        rows.fetchall(),
    )


def salvage(path):
    """Copy the readable rows of a damaged cache into a new file in the same folder.

    Returns
    -------
    salvaged : Path or None
        None if nothing could be read or written.
    n_answers : int
    knows_totals : bool
        Whether the spending could be read.
    """
    salvaged = path.with_name(f"{path.name}.salvaged-{uuid.uuid4().hex[:8]}")
    try:
        with (
            closing(_open(f"{path.as_uri()}?mode=ro", uri=True)) as damaged,
            closing(connect(salvaged)[0]) as new,
        ):
            new.execute("BEGIN IMMEDIATE")
            # Keys are hashes, so only a small fraction of prefixes is unreadable.
            for prefix in (f"{number:03x}" for number in range(4096)):
                for table in ("answers", "questions"):
                    with suppress(sqlite3.DatabaseError):
                        rows = damaged.execute(
                            f"SELECT * FROM {table} WHERE key >= ? AND key < ?",
                            (prefix, f"{prefix}g"),
                        )
                        _insert_rows(new, table, rows)
            knows_totals = True
            try:
                totals = damaged.execute("SELECT name, value FROM totals").fetchall()
                new.executemany("INSERT OR REPLACE INTO totals VALUES (?, ?)", totals)
            except sqlite3.DatabaseError:
                knows_totals = False
            new.execute("COMMIT")
            n_answers = new.execute("SELECT COUNT(*) FROM answers").fetchone()[0]
    except (sqlite3.DatabaseError, OSError, CacheError):
        return None, 0, False
    return salvaged, n_answers, knows_totals
