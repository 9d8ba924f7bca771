"""The file of a cache: made for its owner only, brought up to date, copied, and salvaged.

SQLite's WAL mode does not work on network file systems: one machine writes, from any number of
processes and containers.
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
    """Return what a path names now, to notice when it is another file or none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_damaged(error):
    """Whether an error of SQLite says that a file is damaged; such errors have no class."""
    return type(error) is sqlite3.DatabaseError


def connect(path):
    """Open a cache, and make it if there is none.

    Parameters
    ----------
    path : Path or None
        None: in memory.

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
            f"The cache {path} is no SQLite file of judgments: {error}. Name another one."
        ) from None
    except OSError as error:
        raise _cannot(path, "made", error) from None
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
    except BaseException:  # what is open may keep a lock
        connection.close()
        raise
    return connection


def _connect_to_read(path):
    error = None
    # In a directory that cannot be written to, SQLite reads a WAL file only as immutable.
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
    """Return the version of a cache; raise CacheError for a newer one, or another kind of file."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    if version > VERSION or (version == 0 and tables):
        raise CacheError(
            f"The cache {path} is of another format (version {version}; expected at most "
            f"{VERSION}). Name another file."
        )
    return version


def _bring_up_to_date(connection, path):
    """Make the tables, or change those of an older version, in one transaction."""
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
    """Switch to WAL mode; while another process does, SQLite does not wait by itself."""
    for _ in range(50):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(0.1)


# -- who may read it ---------------------------------------------------------------------------


def make_folder(folder):
    """Make a folder that only its owner may read, and those above it that there are not."""
    if not folder.exists():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def private_opener(path, flags):
    """Open a file; one that is made may be read by its owner only."""
    return os.open(path, flags, 0o600)


def side_files(path):
    """Return what SQLite keeps beside a file, and what each name stands for now."""
    sides = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
    return {side: file_identity(side) for side in sides}


def remove_left(sides):
    """Remove what belongs to a file that was replaced: SQLite would take it for the new one's."""
    for side, identity in sides.items():
        if identity is not None and file_identity(side) == identity:
            side.unlink(missing_ok=True)


def _make(path):
    """Make an empty file.

    What a deleted cache has left beside it belongs to the processes that still have that one open;
    SQLite would take it for the new one's.
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
    """Keep other processes from making a file in a folder at the same time."""
    try:
        import fcntl
    except ImportError:  # Windows: files that are open cannot be deleted there
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # one may write into it, but not read it
        yield
        return
    try:
        with suppress(OSError):  # not all file systems can
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_readable_by_others(path):
    """Whether other users may read a file of ours; it says who likes what."""
    if path is None or os.name != "posix":
        return False
    try:
        status = os.stat(path)
    except OSError:
        return False
    return status.st_uid == os.getuid() and bool(status.st_mode & 0o077)


# -- copies ------------------------------------------------------------------------------------


def copy_all(old, new):
    """Copy all rows of a cache that has lost its place into the one that is there now.

    It is done once, by whichever process notices first: that is written down in the old one. Were
    that process killed between the two commits, another one would copy again; totals are then those
    of the larger count.

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
    """Insert the rows of a cursor, which may be of an older version's table."""
    names = [column[0] for column in rows.description]
    connection.executemany(
        f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) "
        f"VALUES ({', '.join('?' * len(names))})",
        rows.fetchall(),
    )


def salvage(path):
    """Write what can be read of a damaged cache into a new one beside it.

    Returns
    -------
    salvaged : Path or None
        None if nothing can be read, or written.
    n_answers : int
    knows_totals : bool
        Whether what was spent could be read.
    """
    salvaged = path.with_name(f"{path.name}.salvaged-{uuid.uuid4().hex[:8]}")
    try:
        with (
            closing(_open(f"{path.as_uri()}?mode=ro", uri=True)) as damaged,
            closing(connect(salvaged)[0]) as new,
        ):
            new.execute("BEGIN IMMEDIATE")
            # Keys are hashes: what cannot be read is a small part of all prefixes.
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
