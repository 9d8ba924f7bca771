"""Recommendation lists of many users as a lazily computed stream of Arrow record batches."""

import numpy as np

_EXTRA = "pip install pyarrow"


def import_pyarrow(what):
    """Import pyarrow; if it is not installed, the error names the method `what`."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"{what} needs pyarrow, which is not installed: {_EXTRA}.") from error
    return pyarrow


def stream_lists(lists, users, names, batch_size):
    """Create a reader that computes the lists batch by batch.

    Parameters
    ----------
    lists : ListMaker
    users : ndarray of shape (n_users,)
        Ids to show.
    names : tuple of (str, str)
        Column names of users and items.
    batch_size : int
        Users per batch.

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
            "recommend_batches requires ids of a single type supported by Arrow; got unsupported "
            f"ids in column {name!r}: {error}"
        ) from error
