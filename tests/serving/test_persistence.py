"""Saved and pickled models: same results, no secrets, and safe loading of untrusted files."""

import copy
import datetime
import io
import json
import os
import pickle
import subprocess
import sys
import uuid
import warnings
import zipfile
from dataclasses import fields, is_dataclass, replace

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_selreg import (
    ALS,
    AutoItemEncoder,
    ModelVersionWarning,
    ReliabilityGate,
    SelectiveLLMRegularizedMF,
    SlateSampler,
)
from sklearn_selreg._serving._persistence import FORMAT_VERSION, NOT_SAVED
from sklearn_selreg._serving._user_table import FoldedUsers
from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.judges import AnthropicJudge, LLMJudge

NEW = pd.DataFrame({"user": [-3, -3, 5, -4], "item": [4, 9, 3, 9]})
KEY = "sk-secret-0123456789"
load = SelectiveLLMRegularizedMF.load


@pytest.fixture(scope="module", params=["plain", "judged"])
def model(request, world):
    if request.param == "plain":
        return world.model(item_bias=0.0, backbone__missing_power=0.0).fit(world.train)
    fitted = world.judged(backbone__recency_power=0.5, gate=ReliabilityGate(C=1.0)).fit(world.train)
    return fitted.fold_in(NEW.assign(user=[-1, -1, 2, -2]), known="replace")


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.npz"
    model.save(path)
    return path


def answers(model, world):
    """Collect a model's results before and after folding in users."""
    told = [model.predict(world.test), *model.recommend([3, -2, 10**6], 60)]
    told += [*model.similar_items([4, 9], 5), model.score(world.test)]
    told += [model.recommend([3], as_frame=True), model.explain(7, 3), model.explain(-2, 3)]
    model = pickle.loads(pickle.dumps(model)).fold_in(NEW, known="replace")
    return [*told, model.predict(NEW), model.users_, *model.recommend([-3, 5], 3)]


def same(a, b):
    for x, y in zip(a, b, strict=True):
        if isinstance(x, pd.DataFrame):
            pd.testing.assert_frame_equal(x, y)
        else:
            np.testing.assert_array_equal(x, y)
            assert np.asarray(x).dtype == np.asarray(y).dtype


def test_a_loaded_model_does_the_same(model, path, world):
    loaded = load(path)
    same(answers(loaded, world), answers(model, world))
    again = path.with_name("again.npz")
    loaded.save(os.fspath(again))
    same(answers(load(again), world), answers(model, world))


def assert_same(kept, value, name):
    """Compare arrays, matrices, and objects with fields, recursively."""
    if isinstance(value, FoldedUsers):  # a file has all users in one table
        value = value.whole
    assert type(kept) is type(value), name
    if is_dataclass(value):
        for field in fields(value):
            if field.name not in NOT_SAVED:
                assert_same(getattr(kept, field.name), getattr(value, field.name), field.name)
    elif hasattr(value, "toarray"):
        np.testing.assert_array_equal(kept.toarray(), value.toarray())
        assert kept.dtype == value.dtype
    elif isinstance(value, np.ndarray):
        np.testing.assert_array_equal(kept, value)
        assert kept.dtype == value.dtype
    else:
        assert kept == value, name


def test_every_fitted_attribute_is_saved_or_known_not_to_be(model, path):
    loaded, parameters = load(path), model.get_params(deep=False)
    for name, value in vars(model).items():
        if name in parameters or name in NOT_SAVED:
            continue
        assert_same(getattr(loaded, name), value, name)
    assert set(vars(loaded)) <= set(vars(model))
    assert loaded.judge_ is loaded.gate_ is loaded.item_encoder_ is None
    with pytest.raises(AttributeError, match="loaded from a file"):
        _ = loaded.preferences_


def test_parameters_are_kept_if_they_are_plain_data(model, path):
    loaded, defaults = load(path).get_params(), SelectiveLLMRegularizedMF().get_params()
    for name, value in model.get_params(deep=False).items():
        kept = defaults[name] if name in ("judge", "item_data") else value
        assert repr(loaded[name]) == repr(kept), name


def test_parts_are_kept_with_their_parameters(world, tmp_path):
    parts = {
        "backbone": ALS(recency_power=0.3, cg_steps=3),
        "slates": SlateSampler(size=7),
        "gate": ReliabilityGate(threshold=0.3, prior_cols=["prior_a"]),
        "item_encoder": AutoItemEncoder(min_count=2),
    }
    model = world.model(item_data=world.item_data, **parts).fit(world.train)
    model.save(tmp_path / "m")
    kept = load(tmp_path / "m")
    for name, part in parts.items():
        assert type(getattr(kept, name)) is type(part)
        assert getattr(kept, name).get_params() == part.get_params()
    with pytest.warns(DataWarning, match=r"does not hold item_data; it is fitted without"):
        kept.fit(world.train)


class MyALS(ALS):
    """A nested estimator that cannot be saved."""


class MyEncoder(AutoItemEncoder):
    """A nested estimator that may be omitted from a file."""


def test_a_part_of_another_class_is_kept_nowhere_unnoticed(world, tmp_path):
    model = world.model(backbone=MyALS(), **{"item_data": world.item_data}).fit(world.train)
    with pytest.raises(
        ValueError, match=r"cannot hold backbone=MyALS\(.*\)\. .* set backbone to one"
    ):
        model.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
    pickle.loads(pickle.dumps(model))
    model.set_params(backbone=ALS(), item_encoder=MyEncoder()).fit(world.train)
    model.save(tmp_path / "m")
    with pytest.warns(DataWarning, match=r"does not hold item_data, item_encoder"):
        load(tmp_path / "m").fit(world.train)


def test_a_state_without_pickle_is_arrays_and_text(model, world):
    """As needed by formats such as that of skops; pickle keeps everything instead."""
    state = model.__getstate__()
    assert set(state) == {"arrays", "json"}
    assert type(state["json"]) is str
    assert all(type(array) is np.ndarray for array in state["arrays"].values())
    assert not any(array.dtype.hasobject for array in state["arrays"].values())
    restored = object.__new__(SelectiveLLMRegularizedMF)
    restored.__setstate__(state)
    same(answers(restored, world), answers(model, world))
    for copied in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert vars(copied).keys() == vars(model).keys()
    assert copy.copy(model)._fitted is model._fitted
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(model, protocol))
        np.testing.assert_array_equal(again.predict(world.test), model.predict(world.test))


@pytest.mark.parametrize(
    "public", [SelectiveLLMRegularizedMF, ReliabilityGate, AutoItemEncoder, ALS, SlateSampler]
)
def test_pickles_name_public_modules(public):
    """A model of today can be loaded after private modules have moved."""
    assert b"sklearn_selreg._" not in pickle.dumps(public())
    assert type(pickle.loads(pickle.dumps(public()))) is public


def test_numpy_parameters_are_kept(world, tmp_path):
    model = world.model(factors=np.int64(3), alpha=np.float32(2.5), slates__item_text=("a",))
    model.fit(world.train).save(tmp_path / "m")
    kept = load(tmp_path / "m")
    assert (kept.factors, kept.alpha, kept.slates.item_text) == (3, 2.5, ["a"])
    kept.fold_in(NEW, known="replace")


def test_a_loaded_model_can_be_fitted_again(world, tmp_path):
    model = world.model().fit(world.train)
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    np.testing.assert_array_equal(
        loaded.fit(world.train).item_factors_, clone(model).fit(world.train).item_factors_
    )


@pytest.mark.slow
def test_a_fresh_process_does_the_same(model, path, world, tmp_path):
    world.test.to_pickle(tmp_path / "test.pkl")
    NEW.to_pickle(tmp_path / "new.pkl")
    script = """
import sys, numpy as np, pandas as pd
from sklearn_selreg import SelectiveLLMRegularizedMF
model = SelectiveLLMRegularizedMF.load(sys.argv[1])
test, new = (pd.read_pickle(f"{sys.argv[2]}/{name}.pkl") for name in ("test", "new"))
told = [model.predict(test), *model.recommend([3, -2], 3)]
told.append(model.fold_in(new, known="replace").predict(new))
np.savez(f"{sys.argv[2]}/told.npz", *told)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script, path, tmp_path], check=True)
    told = np.load(tmp_path / "told.npz")
    expected = [model.predict(world.test), *model.recommend([3, -2], 3)]
    expected.append(pickle.loads(pickle.dumps(model)).fold_in(NEW, known="replace").predict(NEW))
    same(told.values(), expected)


def test_numpy_reads_the_file_without_pickle(path, model):
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["item_factors"], model.item_factors_)
        arrays = [name for name in file.files if not name.endswith(".json")]
        assert all(file[name].dtype.kind in "biufmMUS" for name in arrays)


# Ids

DAY = datetime.date(2024, 2, 29)
IDS = {
    "str": np.array(["b", "a", "\ud800 lone", "ü"], dtype=object),
    "fixed": np.array(["b", "a", "c", "longer"]),
    "bytes": np.array([b"b", b"a", b"c", b"d"]),
    "int": np.array([3, -2, 2**62, 0]),
    "small": np.array([3, 2, 1, 0], dtype=np.uint8),
    "float": np.array([0.1, -2.5, 1e300, 3.0]),
    "bool": np.array([True, False, True, False]),
    "datetime": np.array(["2024-02-29", "1999-01-01", "2030-05-05T03:00", "2000-01-01"], "M8[ns]"),
    "timedelta": np.array([4, 5, 6, 7], dtype="m8[s]"),
    "mixed": np.array(["1", 2, 3.5, True], dtype=object),
    "numpy": np.array([np.int32(7), np.float64(0.25), np.str_("x"), np.bool_(True)], dtype=object),
    "big": np.array([2**70, 1, 2, 3], dtype=object),
    "objects": np.array([DAY, datetime.datetime(2024, 2, 29, 3), uuid.UUID(int=5), b"a"], object),
    "tuples": np.fromiter([("b", 1), ("a", 2), (DAY, (uuid.UUID(int=5), 2.5)), ("a", 1)], object),
    "pairs": np.fromiter([("b", 1), ("a", 2), ("b", 3), ("a", 1)], object),
    "zones": np.array(
        [pd.Timestamp(2024, 2, d, nanosecond=d, tz="UTC") for d in (4, 3, 2, 1)], dtype=object
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", IDS)
def test_ids_keep_their_dtype(kind, tmp_path):
    ids = IDS[kind]
    X = np.column_stack([np.repeat(ids, 2), np.roll(np.repeat(ids, 2), 1)])
    model = SelectiveLLMRegularizedMF(factors=2, iterations=2, random_state=0).fit(X)
    model.save(tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    for name in ("users_", "items_"):
        kept, given = getattr(loaded, name), getattr(model, name)
        assert kept.dtype == given.dtype
        assert kept.tolist() == given.tolist()
        for a, b in zip(kept.tolist(), given.tolist(), strict=True):
            assert isinstance(b, np.generic) or type(a) is type(b)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


NUMPY_TIME = np.datetime64("2024-01-01", "ns")


@pytest.mark.parametrize("bad", [frozenset([1]), 1j, ("a", 1j), NUMPY_TIME, ("a", (NUMPY_TIME,))])
def test_ids_that_cannot_be_saved(bad, tmp_path):
    model = SelectiveLLMRegularizedMF(factors=2, iterations=2).fit([["a", 1], ["b", 2]])
    users = np.array(["a", None], dtype=object)
    users[1] = bad
    model._fitted = replace(model._fitted, user_table=replace(model._fitted.user_table, ids=users))
    (tmp_path / "model").write_text("old")
    with pytest.raises(ValueError, match=r"users_ contains .* pickle the model instead"):
        model.save(tmp_path / "model")
    assert (tmp_path / "model").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_saving_needs_a_fit_and_a_folder(world, tmp_path):
    with pytest.raises(NotFittedError):
        world.model().save(tmp_path / "model")
    with pytest.raises(FileNotFoundError):
        world.model().fit(world.train).save(tmp_path / "no" / "model")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "model")


# Damaged and malicious files


def unpack(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array, allow_pickle=False):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def refuse(path, match="is not a model saved by sklearn_selreg, or is damaged"):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=match):
        warnings.simplefilter("ignore", ModelVersionWarning)
        load(path)


def test_files_cut_off_anywhere(path, tmp_path):
    content, cut = path.read_bytes(), tmp_path / "cut"
    for end in [0, 1, 30, *range(100, len(content), len(content) // 50), len(content) - 1]:
        cut.write_bytes(content[:end])
        refuse(cut)


def test_any_bit_that_is_changed(path, tmp_path):
    content, changed = path.read_bytes(), tmp_path / "changed"
    whole = unpack(path)
    for place in np.random.default_rng(0).integers(len(content), size=150):
        other = bytearray(content)
        other[place] ^= 1 << (place % 8)
        changed.write_bytes(other)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                load(changed)
        except ValueError as error:
            assert "is not a model saved by sklearn_selreg" in str(error)
        else:  # an irrelevant bit of the zip, e.g. of a date
            assert unpack(changed) == whole


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x05\x06" + bytes(18), b"\x80\x04."])
def test_files_that_are_none(content, tmp_path):
    (tmp_path / "f").write_bytes(content)
    refuse(tmp_path / "f")


def array_of(name, change):
    def tamper(members):
        array = np.load(io.BytesIO(members[f"{name}.npy"]))
        return {f"{name}.npy": npy(change(array.copy()))}

    return tamper


def json_of(**changes):
    def tamper(members):
        about = json.loads(members["model.json"])
        return {"model.json": json.dumps({**about, **changes})}

    return tamper


def put(array, place, value):
    array.flat[place] = value
    return array


def header(text):
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


BOMB = header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1000)}")
CODE = header("{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os').abort()}")
EMPTY = header("{'descr': '<U0', 'fortran_order': False, 'shape': (1099511627776,)}")
TAMPERED = {
    "NaN factors": array_of("item_factors", lambda a: put(a, 3, np.nan)),
    "infinite factors": array_of("user_factors", lambda a: put(a, 3, np.inf)),
    "fewer factors": array_of("user_factors", lambda a: a[:, 1:]),
    "fewer users": array_of("user_factors", lambda a: a[1:]),
    "doubles": array_of("item_factors", lambda a: a.astype(float)),
    "flat": array_of("item_factors", lambda a: a.ravel()),
    "repeated id": array_of("users", lambda a: put(a, 0, a[1])),
    "ids of two dimensions": array_of("users", lambda a: a[:, np.newaxis]),
    "missing ids": array_of("users", lambda a: put(a.astype(float), 0, np.nan)),
    "index out of range": array_of("matrix_indices", lambda a: put(a, -1, 10**6)),
    "negative index": array_of("matrix_indices", lambda a: put(a, 0, -1)),
    "not sorted": array_of("matrix_indices", lambda a: put(a, 1, a[0])),
    "rows that overlap": array_of("matrix_indptr", lambda a: put(a, 1, 10**6)),
    "rows that go back": array_of("matrix_indptr", lambda a: put(a, 3, 0)),
    "first row": array_of("matrix_indptr", lambda a: put(a, 0, 1)),
    "no rows": array_of("matrix_indptr", lambda a: a[:0]),
    "strengths": array_of("matrix_data", lambda a: -a),
    "ages": array_of("recency_rank", lambda a: put(a, 0, 10**6)),
    "popularity": array_of("popularity", lambda a: -1 - a),
    "mask": array_of("as_of_fit", lambda a: np.append(a, np.ones(10**4, bool))),
    "no JSON": lambda _: {"model.json": "{"},
    "a list": lambda _: {"model.json": "[]"},
    "deep JSON": lambda _: {"model.json": "[" * 10**6},
    "long number": lambda _: {"model.json": '{"n_iter": ' + "9" * 10**5 + "}"},
    "other format": json_of(format="something"),
    "later format": json_of(format_version=FORMAT_VERSION + 1),
    "parameters": json_of(parameters={"factors": -1}),
    "unknown parameters": json_of(parameters={"shell": "ls"}),
    "parameter list": json_of(parameters=[1]),
    "backbone": json_of(backbone="os.system"),
    "settings": json_of(backbone_settings={"factors": 6}),
    "names": json_of(id_names=["a"]),
    "statistics": json_of(judge_stats={"a": "b"}),
    "losses": json_of(loss_curve=[None]),
    "iterations": json_of(n_iter="9"),
    "version": json_of(version=None),
    "code": lambda _: {"item_factors.npy": CODE},
    "array bomb": lambda _: {"item_factors.npy": BOMB},
    "empty bomb": lambda _: {"users.npy": EMPTY},
    "no array": lambda _: {"item_factors.npy": b"\x93NUMPY\x09"},
    "pickle": lambda _: {"users.npy": npy(np.array([{}] * 40), allow_pickle=True)},
    "too long": lambda m: {"item_factors.npy": m["item_factors.npy"] + b"0000"},
    "unknown member": lambda _: {"virus.exe": "x"},
    "unknown array": lambda _: {"more.npy": npy(np.ones(3))},
    "unknown list": lambda _: {"more.json": "[]"},
    "path": lambda _: {"../../etc/passwd": "x"},
}


@pytest.mark.parametrize("how", TAMPERED)
def test_files_that_were_tampered_with(how, path, tmp_path):
    members = unpack(path)
    refuse(pack(tmp_path / "f", members | TAMPERED[how](members)))


def test_files_without_a_member(path, tmp_path):
    members = unpack(path)
    for name in members:
        if name in ("pair_bias.npy", "features_data.npy", "pair_users.npy"):
            continue  # optional parts may be missing, but only as a whole
        refuse(pack(tmp_path / "f", {n: c for n, c in members.items() if n != name}))
    pack(tmp_path / "f", {n: c for n, c in members.items() if n != "pair_users.npy"})
    if "pair_users.npy" in members:
        refuse(tmp_path / "f")


def test_settings_of_a_wrong_kind(path, tmp_path):
    members = unpack(path)
    settings = json.loads(members["model.json"])["backbone_settings"]
    for change in ({"factors": 6.0}, {"alpha": "x"}, {"regularization": -1.0}, {"more": 1}):
        tampered = json_of(backbone_settings=settings | change)(members)
        refuse(pack(tmp_path / "f", members | tampered))


def test_tampered_preferences_and_features(world, tmp_path):
    world.judged().fit(world.train).save(tmp_path / "m")
    members = unpack(tmp_path / "m")
    for name, change in {
        "pair_users": lambda a: put(a, -1, 10**6),
        "pair_items": lambda a: put(a, 0, -1),
        "pair_weights": lambda a: put(a, 0, np.nan),
        "features_indices": lambda a: put(a, 0, 10**6),
        "features_data": lambda a: a[1:],
        "pair_bias": lambda a: a[1:],
        "periods": lambda a: a[:0],
    }.items():
        refuse(pack(tmp_path / "f", members | array_of(name, change)(members)))


def test_ids_in_lists_that_were_tampered_with(tmp_path):
    likes = [["ann", "Alien"], ["bob", 7]]
    SelectiveLLMRegularizedMF(factors=2, iterations=2).fit(likes).save(tmp_path / "m")
    members = unpack(tmp_path / "m")
    for ids in (["ann"], ["ann", "ann"], ["ann", None], ["ann", [1]], ["ann", {"date": "x"}],
                ["ann", {"os": "x"}], ["ann", {}], ["ann", {"bytes": 3}], "ab", 1, {}):  # fmt: skip
        tampered = {"users.json": json.dumps({"dtype": "object", "ids": ids})}
        refuse(pack(tmp_path / "f", members | tampered))
    refuse(pack(tmp_path / "f", members | {"users.json": '{"dtype": "f4", "ids": ["a", "b"]}'}))


def test_compressed_files_are_refused(path, tmp_path):
    # Zip bombs are compressed; uncompressed members need no more memory than the file size.
    zeros = {"item_factors.npy": npy(np.zeros((10**7, 1), np.float32))}
    bomb = pack(tmp_path / "f", unpack(path) | zeros, zipfile.ZIP_DEFLATED)
    refuse(bomb, match="is compressed")


def test_members_of_one_name_are_refused(path, tmp_path):
    pack(tmp_path / "f", unpack(path))
    with zipfile.ZipFile(tmp_path / "f", "a") as archive, pytest.warns(UserWarning, match="Dupli"):
        archive.writestr("model.json", "{}")
    refuse(tmp_path / "f", match="duplicate member names")


# Versions


def test_another_version_warns(path, tmp_path, world, model):
    members = unpack(path)
    pack(tmp_path / "f", members | json_of(version="0.0.7")(members))
    with pytest.warns(ModelVersionWarning, match=r"saved by sklearn_selreg 0\.0\.7, but this") as w:
        loaded = load(tmp_path / "f")
    assert w[0].filename == __file__
    np.testing.assert_array_equal(loaded.predict(world.test), model.predict(world.test))
    parameters = json.loads(members["model.json"])["parameters"]
    more = json_of(version="9.9", parameters=parameters | {"new": 1})(members)
    with pytest.warns(ModelVersionWarning):
        assert load(pack(tmp_path / "f", members | more)).factors == model.factors


def test_another_version_of_a_pickle_warns(model, monkeypatch):
    monkeypatch.setattr("sklearn_selreg._mf.__version__", "0.0.7")
    old = pickle.dumps(model)
    monkeypatch.undo()
    with pytest.warns(ModelVersionWarning, match=r"saved by sklearn_selreg 0\.0\.7"):
        pickle.loads(old)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restored = pickle.loads(pickle.dumps(model))
    assert vars(restored).keys() == vars(model).keys()


# Workers


def probe(model, rows):
    """Return what a worker process gets of a model."""
    judge = model.judge
    own = {name: value for name, value in vars(judge).items() if name not in judge.get_params()}
    return os.getpid(), judge.get_params(), own, pickle.dumps(model), model.predict(rows)


def test_joblib_dumps_do_the_same(model, world, tmp_path):
    joblib.dump(model, tmp_path / "model.joblib")
    same(answers(joblib.load(tmp_path / "model.joblib"), world), answers(model, world))
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")  # read-only arrays
    same(answers(mapped, world), answers(model, world))
    mapped.fold_in(NEW, known="replace")
    again = pickle.loads(pickle.dumps(model)).fold_in(NEW, known="replace")
    same([mapped.predict(NEW), mapped.users_], [again.predict(NEW), again.users_])


@pytest.mark.slow
def test_a_worker_gets_parameters_of_the_judge_alone(world, tmp_path, monkeypatch, server):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    judge = AnthropicJudge(
        base_url=server.url, cache=tmp_path / "cache.sqlite", max_requests=200, n_orders=1
    )
    model = world.model(
        item_data=world.item_data, judge=judge, slates__max_slates=12, slates__size=5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(world.train)
    pid, parameters, own, dumped, told = joblib.Parallel(n_jobs=2)(
        joblib.delayed(probe)(model, world.test) for _ in range(2)
    )[0]
    assert pid != os.getpid()
    assert parameters == judge.get_params()
    assert own == {}
    assert KEY.encode() not in dumped
    assert KEY.encode() not in pickle.dumps(judge)
    assert model.judge_stats_["answers"] > 0
    assert len(pickle.dumps(judge)) < 1000 + 2 * len(repr(judge))  # no answers
    np.testing.assert_array_equal(told, model.predict(world.test))


def test_saved_files_hold_no_judge(world, tmp_path):
    judge = LLMJudge.from_callable(
        lambda slate: np.linspace(0, 1, len(slate.candidates)),
        name="secret-judge", version="1",
    )  # fmt: skip
    model = world.model(
        item_data=world.item_data, judge=judge, slates__max_slates=30, slates__size=5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(world.train).save(tmp_path / "m")
    assert b"secret-judge" not in (tmp_path / "m").read_bytes()
    assert load(tmp_path / "m").judge is None
