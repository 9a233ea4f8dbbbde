"""Every mend, each where it can fail: module state in fresh processes, the rest in this one."""

from __future__ import annotations

import logging
import sys
import warnings

import numpy as np
import pytest
from scipy.sparse import dok_array, dok_matrix
from tiny import run_fresh, run_quickly

from recbole_bns.adapters.mends import mend, quiet, tensorboard_in


@pytest.mark.process
def test_mend_is_light_and_remembers_what_was_needed(tmp_path):
    run_fresh(
        """
import sys
import numpy
from scipy.sparse import dok_matrix
names = ("float_", "complex_", "unicode_", "bool8")
needed = ("numpy-aliases",) * (not all(hasattr(numpy, name) for name in names))
needed += ("scipy-dok-update",) * (not hasattr(dok_matrix, "_update"))
from recbole_bns.adapters.mends import MENDS, mend  # the room mends when it is entered
assert mend() == needed, (mend(), needed)
assert mend() == needed
assert not any(repair.needed() for repair in MENDS)
assert not {"ray", "plotly", "matplotlib", "torch", "recbole"} & set(sys.modules)
""",
        tmp_path,
    )


@pytest.mark.filterwarnings("ignore:.*np.bool8:DeprecationWarning")
def test_mended_numpy_has_the_names_that_recbole_and_old_ray_read():
    mend()
    assert np.float_ is np.float64  # noqa: NPY201
    assert np.complex_ is np.complex128  # noqa: NPY201
    assert np.unicode_ is np.str_  # noqa: NPY201
    assert np.bool8 is np.bool_


@pytest.mark.parametrize("kind", [dok_matrix, dok_array])
def test_mended_dok_update_sets_the_entries(kind):
    mend()
    matrix = kind((2, 3), dtype=np.float32)
    matrix[0, 0] = 5
    matrix._update({(0, 1): 1, (1, 2): 4})
    assert matrix.toarray().tolist() == [[5, 1, 0], [0, 0, 4]]
    assert matrix.tocsr().nnz == 3


KNOWN = [
    ("A value is trying to be set on a copy of a DataFrame or Series through", FutureWarning),
    ("`torch.cuda.amp.GradScaler(args...)` is deprecated.", FutureWarning),
    ("torch.sparse.SparseTensor(indices, values, *, device=) is deprecated.", UserWarning),
]


@pytest.mark.parametrize(("message", "category"), KNOWN)
def test_quiet_silences_recbole_and_nobody_else(message, category):
    def warn(text: str, module: str) -> list[warnings.WarningMessage]:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            with quiet():
                warnings.warn_explicit(text, category, f"{module}.py", 1, module)
        return seen

    assert not warn(message, "recbole.data.dataset.dataset")
    assert warn(message, "recbole_bns.train")
    assert warn(message, "elsewhere")
    assert warn("The loss is negative", "recbole.trainer.trainer")


def test_quiet_leaves_the_filters_as_they_were():
    before = list(warnings.filters)
    with pytest.raises(KeyError), quiet():
        raise KeyError
    assert warnings.filters == before


def test_tensorboard_in_moves_the_log_out_of_the_working_directory(tmp_path, monkeypatch):
    mend()
    import torch
    from recbole.config import Config
    from recbole.trainer import trainer as host

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    config = Config("BPR", "ml-100k", config_dict={"gpu_id": "", "checkpoint_dir": "saved"})
    original = host.get_tensorboard
    with tensorboard_in(tmp_path / "board"):
        trainer = host.Trainer(config, torch.nn.Linear(1, 1))
    trainer.tensorboard.close()
    assert list((tmp_path / "board").glob("events.*"))
    assert not (tmp_path / "log_tensorboard").exists()
    assert host.get_tensorboard is original
    host.get_tensorboard(logging.getLogger("nobody")).close()
    assert (tmp_path / "log_tensorboard").exists()


START = """
import glob, importlib.util, os, pickle, sys, types, warnings
sys.argv = ["run"]
import torch
from recbole_bns.adapters.mends import mend, quiet
from recbole_bns.adapters.own_quick_start import mend_quick_start
mend()
mend_quick_start()
mend_quick_start()

def quick_start(model):
    from recbole.quick_start import run_recbole
    settings = {"epochs": 1, "train_batch_size": 20000, "eval_batch_size": 2000000, "gpu_id": "",
                "state": "ERROR", "show_progress": False, "val_interval": {"rating": "[5,inf)"}}
    result = run_recbole(model=model, dataset="ml-100k", config_dict=settings)
    assert result["test_result"]["recall@10"] > 0, result
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ
    return glob.glob(f"saved/{model}-*.pth")[0], result

def refuses(load, *args):
    try:
        load(*args)
    except pickle.UnpicklingError:
        return True
    return False
"""


@pytest.mark.process
def test_quick_start_runs_evaluates_loads_and_resumes(tmp_path):
    run_quickly(
        START
        + """
assert "ray" not in sys.modules
import recbole.quick_start
assert ("ray" in sys.modules) == (importlib.util.find_spec("ray") is not None)

with warnings.catch_warnings():
    warnings.simplefilter("error", FutureWarning)
    warnings.simplefilter("error", UserWarning)
    with quiet():
        file, result = quick_start("LightGCN")
        config, model, _, _, _, test = recbole.quick_start.load_data_and_model(file)

from recbole.trainer import Trainer
trainer = Trainer(config, model)
assert trainer.evaluate(test, load_best_model=False) == result["test_result"]
trainer.resume_checkpoint(file)
assert trainer.start_epoch == 1
assert not hasattr(Trainer.evaluate.__wrapped__, "_may_load"), "wrapped twice"

if tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 6):
    assert refuses(torch.load, file), "the mend leaks out of RecBole"
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    assert refuses(trainer.resume_checkpoint, file), "a user who wants weights only gets more"
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ
""",
        tmp_path,
    )


HIDE = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"ray"}:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Hide())
"""


@pytest.mark.process
def test_quick_start_without_ray_says_what_to_install(tmp_path):
    run_quickly(
        HIDE
        + START
        + """
for _ in range(2):
    try:
        from recbole.quick_start import run_recbole
    except ImportError as error:
        assert type(error) is ImportError
        assert "pip install 'ray[tune]'" in str(error)
        assert "run_recbole_bns" in str(error)
    else:
        raise AssertionError("imported without Ray")
assert not [name for name in sys.modules if name.split(".")[0] == "ray"], "a fake Ray was left"

# Another package that is missing is not taken for Ray.
class HideMore(Hide):
    def find_spec(self, name, path=None, target=None):
        if name == "recbole.data.transform":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.modules["ray"] = types.ModuleType("ray")
sys.modules["ray"].tune = None
sys.modules.pop("recbole.data.transform", None)
sys.meta_path.insert(0, HideMore())
try:
    import recbole.quick_start
except ModuleNotFoundError as error:
    assert error.name == "recbole.data.transform"
else:
    raise AssertionError("imported without a part of RecBole")
""",
        tmp_path,
    )


@pytest.mark.process
def test_a_quick_start_that_was_imported_early_is_mended(tmp_path):
    run_quickly(
        START
        + """
file, _ = quick_start("BPR")
early = types.ModuleType("recbole.quick_start.quick_start")
early.load_data_and_model = lambda file: torch.load(file)["config"]["model"]
package = types.ModuleType("recbole.quick_start")
package.load_data_and_model = early.load_data_and_model
sys.modules.update({early.__name__: early, package.__name__: package})
mend_quick_start()
assert early.load_data_and_model(file) == package.load_data_and_model(file) == "BPR"
""",
        tmp_path,
    )
