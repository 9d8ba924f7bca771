"""Lists of many users as a stream of Arrow record batches, made as they are read."""

import numpy as np

_EXTRA = "pip install sklearn_selreg[arrow]"


def import_pyarrow(what):
    """Import pyarrow; say what needs it if it is not there."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"{what} needs pyarrow, which is not installed: {_EXTRA}.") from error
    return pyarrow


def stream_lists(lists, users, names, batch_size):
    """Make a reader of the lists of users, a batch of users at a time.

    Parameters
    ----------
    lists : ListMaker
    users : ndarray of shape (n_users,)
        Ids as they are to be shown.
    names : tuple of (str, str)
        Columns of users and items.
    batch_size : int
        Users in a batch.

    Returns
    -------
    reader : pyarrow.RecordBatchReader
    """
    pa = import_pyarrow("recommend_batches")
    user_ids = _as_arrow(pa, users, names[0])
    item_ids = _as_arrow(pa, lists.model.items, names[1])
    schema = pa.schema(
        [
            (names[0], user_ids.type),
            ("rank", pa.int32()),
            (names[1], item_ids.type),
            ("score", pa.float32()),
        ]
    )

    def batches():
        for start in range(0, len(users), batch_size):
            columns, scores = lists.make(slice(start, min(start + batch_size, len(users))))
            query, place = np.nonzero(columns >= 0)
            arrays = [
                user_ids.take(pa.array(start + query)),
                pa.array((place + 1).astype(np.int32)),
                item_ids.take(pa.array(columns[query, place])),
                pa.array(scores[query, place]),
            ]
            yield pa.record_batch(arrays, schema=schema)
        lists.warn_if_short()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _as_arrow(pa, ids, name):
    """Convert ids to an Arrow array."""
    try:
        return pa.array(ids.tolist() if ids.dtype.kind in "UT" else ids)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise TypeError(
            f"recommend_batches writes ids of one type that Arrow has; those of {name!r} are not: "
            f"{error}"
        ) from error
