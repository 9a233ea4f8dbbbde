"""``recbole-bns tune``: run the trials with Ray, go on after an end, retrain the winner."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recbole_bns.common.errors import UsageError
from recbole_bns.common.files import write_json
from recbole_bns.runner.cluster import connected

from . import records
from .plan import FILE, Plan, default_folder, read_plan, resumed_plan
from .ray_versions import check_ray, names, set_environment, tune_config_extras
from .report import conclude
from .space import to_ray
from .trial import Recipe, read_parts, train

NAME = "trials"
"""Of the experiment within Ray's storage."""
RESTARTS = 3
"""Of a trial whose process or node died."""
ERROR = "error"
"""Key of a report that tells of a failure."""


def make_plan(flags: Mapping[str, Any], command: str, *, resume: bool) -> Plan:
    """The plan of these flags, or of the sweep that is to go on.

    Raises:
        UsageError: a flag is not allowed, or there is no such sweep.
    """
    if not resume:
        return read_plan(flags, command)
    folder = Path(str(flags["out"])) if "out" in flags else default_folder(flags)
    return resumed_plan(folder, flags, command)


def tune(plan: Plan, *, resume: bool) -> int:
    """Run a sweep, or what is left of it; write its tables, retrain and test the winner.

    Args:
        plan: what is asked for.
        resume: whether the folder holds it already.

    Returns:
        exit status: 0, 1 where no trial got to a result, 130 where it was interrupted.

    Raises:
        UsageError: no Ray, the folder holds a sweep or cannot be written, bad data.
    """
    check_ray()
    set_environment(local=plan.address is None)
    _claim(plan, resume)
    parts = read_parts(plan.recipe)
    with connected(plan.address):
        found, over = _run(plan, parts, resume)
    return conclude(plan, found, stopped=not over)


def _claim(plan: Plan, resume: bool) -> None:
    """Make the folder and keep the plan in it."""
    path = plan.out / FILE
    if path.is_file() and (plan.out / records.FILE).is_file() and not resume:
        raise UsageError(
            f"--out: '{plan.out}' holds a sweep; go on with it with --resume, or name another "
            "folder with --out=DIR."
        )
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
        write_json(path, {"held": plan.held, "free": plan.free})
    except OSError as error:
        raise UsageError(f"--out: cannot write '{plan.out}': {error.strerror}.") from error


def _check_storage(plan: Plan) -> None:
    """A cluster of several machines needs storage that all of them reach."""
    import ray

    machines = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(machines) > 1 and plan.storage == str((plan.out / "ray").absolute()):
        raise UsageError(
            f"--storage_path: the cluster has {len(machines)} machines; name a folder or URI that "
            "all of them reach with --storage_path=PATH."
        )


def _run(
    plan: Plan, parts: Mapping[str, Any], resume: bool
) -> tuple[Mapping[str, records.Record], bool]:
    """Run the trials; what is known of each, and whether the sweep is over."""
    from .callback import Recorder

    _check_storage(plan)
    with Recorder(plan, records.read(plan.out), shown=plan.shown) as recorder, _silent():
        _tuner(plan, _work(plan, parts), resume).fit()
    ended = [r for r in recorder.records.values() if r.status != records.RUNNING]
    return recorder.records, len(ended) >= plan.trials or recorder.out_of_time


def _work(plan: Plan, parts: Mapping[str, Any]) -> Any:
    """What Ray runs for a trial, with all that it needs of a machine."""
    from ray import tune as ray_tune

    return ray_tune.with_resources(
        ray_tune.with_parameters(
            guarded,
            recipe=plan.recipe,
            parts=dict(parts),
            use_gpu=plan.gpus > 0,
            worst=float("-inf") if plan.bigger else float("inf"),
            metric=plan.metric,
        ),
        {"cpu": plan.cpus, "gpu": plan.gpus},
    )


def _tuner(plan: Plan, work: Any, resume: bool) -> Any:
    """Ray's tuner of the sweep, or of what is left of it."""
    from ray import tune as ray_tune

    from .callback import Callback

    ray, kept = names(), f"{plan.storage.rstrip('/')}/{NAME}"
    if resume and ray_tune.Tuner.can_restore(kept):
        return ray_tune.Tuner.restore(
            kept,
            trainable=work,
            resume_unfinished=True,
            resume_errored=False,
            restart_errored=False,
            param_space=to_ray(plan.space),
        )
    return ray_tune.Tuner(
        work,
        param_space=to_ray(plan.space),
        tune_config=_tune_config(plan),
        run_config=ray.RunConfig(
            name=NAME,
            storage_path=plan.storage,
            verbose=0,
            callbacks=[Callback()],
            checkpoint_config=ray.CheckpointConfig(num_to_keep=1),
            failure_config=ray.FailureConfig(max_failures=RESTARTS),
        ),
    )


def _tune_config(plan: Plan) -> Any:
    from ray import tune as ray_tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    epochs = int(plan.recipe.config()["epochs"])
    scheduler = FIFOScheduler()
    if plan.scheduler == "asha" and epochs > 1:
        grace = max(1, min(10, epochs // 5))
        scheduler = ASHAScheduler(
            time_attr="epoch", max_t=epochs, grace_period=grace, reduction_factor=3
        )
    return ray_tune.TuneConfig(
        metric=plan.metric,
        mode="max" if plan.bigger else "min",
        num_samples=1 if any(d.kind == "grid" for d in plan.space.values()) else plan.trials,
        search_alg=_searcher(plan),
        scheduler=scheduler,
        max_concurrent_trials=plan.at_once,
        time_budget_s=plan.time_budget,
        reuse_actors=True,
        trial_dirname_creator=_folder_of,
        **tune_config_extras(),
    )


def _folder_of(trial: Any) -> str:
    return str(trial.trial_id)


def _searcher(plan: Plan) -> Any:
    seed = int(plan.recipe.config()["seed"])
    if plan.search == "optuna":
        import optuna
        from ray.tune.search.optuna import OptunaSearch

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return OptunaSearch(seed=seed)
    from ray.tune.search.basic_variant import BasicVariantGenerator

    return BasicVariantGenerator(random_state=seed, max_concurrent=plan.at_once or 0)


def guarded(
    config: Mapping[str, Any],
    recipe: Recipe,
    parts: Mapping[str, Any],
    use_gpu: bool,
    metric: str,
    worst: float,
) -> None:
    """A trial that reports its failure instead of being tried again; a lost node is."""
    try:
        train(config, recipe, parts, use_gpu=use_gpu)
    except (UsageError, MemoryError, RuntimeError, ValueError, ArithmeticError) as error:
        text = f"{error}" if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
        names().report({metric: worst, "epoch": sys.maxsize, ERROR: text.splitlines()[0]})


@contextmanager
def _silent() -> Iterator[None]:
    """Without Ray's own warnings and notes on the screen."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.air", "ray.train")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
