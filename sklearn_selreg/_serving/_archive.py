"""Arrays and JSON in one zip file, without pickle, and checks of its content.

Files are not trusted: whatever the content, reading runs no code, takes no more memory than a few
times the file size, and results in checked content or a ValueError. The format is ``.npz`` (a zip
of ``.npy`` arrays) with additional JSON members, uncompressed to rule out zip bombs.
"""

import json
import math
import os
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import scipy.sparse as sp

_MAX_DIMENSIONS = 3
MATRIX_PARTS = "data", "indices", "indptr"


def write_archive(path, arrays, lists):
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot save {path.name!r}: directory {os.fspath(path.parent)!r} does not exist. "
            "Create it first, e.g. with pathlib.Path.mkdir(parents=True)."
        )
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with (
            os.fdopen(handle, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
        ):
            for name, content in lists.items():
                archive.writestr(name, json.dumps(content, allow_nan=False))
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    array = np.ascontiguousarray(array)
                    np.lib.format.write_array(member, array, allow_pickle=False)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # like other new files; mkstemp restricts to the owner
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def read_archive(file):
    """Return the arrays and JSON contents of a file, each by name."""
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        expect(len(set(names)) == len(names), "it has duplicate member names")
        for member in members:
            stored = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
            expect(
                stored and member.file_size == member.compress_size,
                f"{member.filename!r} is compressed or encrypted",
            )
        expect(sum(member.file_size for member in members) <= size, "its members overlap")
        arrays, lists = {}, {}
        for member in members:
            name, extension = os.path.splitext(member.filename)
            expect(extension in (".npy", ".json"), f"it contains {member.filename!r}")
            if extension == ".json":
                lists[member.filename] = json.loads(archive.read(member))
            else:
                with archive.open(member) as content:
                    arrays[name] = _read_array(content, member.file_size, name)
    return arrays, lists


def _read_array(file, size, name):
    """Read an array of numbers, strings or times; `size` bytes in total, header included."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    expect(version in readers, f"array {name!r} has format version {version}")
    shape, fortran, dtype = readers[version](file)
    expect(
        dtype.kind in "biufmMUS" and dtype.names is None and dtype.itemsize > 0 and not fortran,
        f"array {name!r} has dtype {dtype}",
    )
    expect(len(shape) <= _MAX_DIMENSIONS and all(n >= 0 for n in shape), f"{name!r} is {shape}")
    n_bytes = size - file.tell()
    expect(
        math.prod(shape) * dtype.itemsize == n_bytes,
        f"array {name!r} of shape {shape} has a size of {n_bytes} bytes",
    )
    content = bytearray(n_bytes)
    expect(file.readinto(content) == n_bytes and not file.read(1), f"array {name!r} is truncated")
    array = np.frombuffer(content, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def take(arrays, name, shape, kind):
    """Pop an array from `arrays`; any shape if None; `kind` is a dtype code like "f4" or "i"."""
    expect(name in arrays, f"array {name!r} is missing")
    array = arrays.pop(name)
    expect(
        array.dtype.str[1:].startswith(kind) and (shape is None or array.shape == shape),
        f"array {name!r} has dtype {array.dtype} and shape {array.shape}"
        + ("" if shape is None else f", expected {shape}"),
    )
    expect(array.dtype.kind != "f" or np.isfinite(array).all(), f"array {name!r} is not finite")
    return array


def take_matrix(arrays, name, shape):
    """Pop a CSR matrix from `arrays`."""
    data, indices, indptr = (
        take(arrays, f"{name}_{part}", None, kind)
        for part, kind in zip(MATRIX_PARTS, ("f4", "i", "i"), strict=True)
    )
    ordered = (
        indptr.shape == (shape[0] + 1,)
        and data.shape == indices.shape == (indptr[-1],)
        and indptr[0] == 0
        and (np.diff(indptr) >= 0).all()
        and ((indices >= 0) & (indices < shape[1])).all()
    )
    expect(ordered, f"{name!r} is not a sparse matrix of shape {shape}")
    return sp.csr_matrix((data, indices, indptr), shape)


def expect(condition, message):
    if not condition:
        raise ValueError(message)


def typed(value, kind, name):
    expect(type(value) is kind, f"{name} is a {type(value).__name__}")
    return value


def is_number(value):
    return type(value) in (bool, int, float) and math.isfinite(value)


def strings(values, name, length=None):
    expect(
        isinstance(values, list)
        and all(isinstance(value, str) for value in values)
        and length in (None, len(values)),
        f"{name} are {values!r:.100}",
    )
    return values
