"""What a sampler may ask of a model, of the data and of the loop: each is a type.

A sampler answers :meth:`Asking.requirements_of`; a host reads the answer by type and gives what
it can. What it cannot give is refused before anything is trained, in the sentence that stands at
the type; what the sampler knows of a way round, its ``hint``, goes into that sentence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from recbole_bns.common.errors import UsageError

from .scoring import FactorScorer, Scorer
from .state import Resumable

ALL = "all"
"""``candidate_num: all`` makes every negative of the user a candidate."""


@dataclass(frozen=True)
class Requirement:
    """One thing that a sampler asks for."""

    hint: str = field(default="", kw_only=True)
    """The sampler's own way to do without, for the sentence of a refusal."""


R = TypeVar("R", bound=Requirement)


@dataclass(frozen=True)
class Scores(Requirement):
    """Scores of the model, in every step from epoch ``since`` (0-based) on."""

    since: int = 0
    scorer: ClassVar[type] = Scorer
    """The least capable scorer that serves."""


@dataclass(frozen=True)
class Vectors(Scores):
    """Vectors of users and items whose dot products are the scores."""

    scorer: ClassVar[type] = FactorScorer

    def refusal(self, sampler: str, model: str, others: Sequence[str]) -> UsageError:
        """For a model without vectors.

        Args:
            sampler: name of the sampler that asks.
            model: name of the model's class.
            others: names of the samplers that this model can serve.
        """
        hint = f" ({self.hint})" if self.hint else ""
        return UsageError(
            f"neg_sampler '{sampler}' needs user and item vectors, which {model} does not have; "
            f"allowed with this model: {', '.join(others)}{hint}; a dot-product model of your own "
            "is made known with recbole_bns.factors."
        )


@dataclass(frozen=True)
class ScoresBetweenBatches(Requirement):
    """Scores of any user when an epoch begins, outside of a batch."""

    def refusal(self, model: str, others: Sequence[str]) -> UsageError:
        """For a model that scores by more than ids: by the rows of a batch.

        Args:
            model: name of the model's class.
            others: names of the samplers that this model can serve.
        """
        hint = f", or {self.hint}" if self.hint else ""
        return UsageError(
            f"neg_sampler: it needs scores outside of a batch, but {model} scores by the rows of a "
            "batch (item sequence or features); allowed with this model: "
            f"{', '.join(others)}{hint}."
        )


@dataclass(frozen=True)
class Negatives(Requirement):
    """As many negatives of a user for each one that is drawn; it makes do with fewer."""

    each: int = 1
    distinct: bool = False
    """Different from one another even where one is drawn."""

    def wanted(self, n: int) -> int:
        """Different negatives that a positive takes at the best, with ``n`` drawn for it."""
        return self.each * n if self.distinct or n > 1 else 1


@dataclass(frozen=True)
class EpochNumber(Requirement):
    """How many epochs there are, put into the sampler's ``epochs`` before the first begins."""

    def refusal(self, sampler: str) -> UsageError:
        """For a sampler that was not told.

        Args:
            sampler: name of the sampler that asks.
        """
        return UsageError(
            f"neg_sampler '{sampler}' needs to know how many epochs there are, and was not told; "
            "set sampler.epochs before the first begins (recbole_bns.data_preparation and "
            "recbole_bns.enable() do it)."
        )


@dataclass(frozen=True)
class Learns(Requirement):
    """A call of the sampler's ``after_step`` after each step of the model's optimiser."""

    since: int = 0
    """The first epoch (0-based) in which it draws by what it has learned."""

    def never(self, sampler: str, epochs: int) -> str:
        """A remark for a training that is over before that epoch; empty where it is not.

        Args:
            sampler: name of the sampler that asks.
            epochs: how many there are.
        """
        if epochs > self.since:
            return ""
        return (
            f"neg_sampler '{sampler}' draws uniformly here: its generator begins after "
            f"{self.since} epochs (neg_sampler_args.pretrain_epochs), and there are {epochs}."
        )

    def not_divided(self, sampler: str) -> str:
        """Why several processes cannot share it, as the part of a sentence.

        Args:
            sampler: name of the sampler that asks.
        """
        return (
            f"neg_sampler '{sampler}' trains a generator, each step on what the model answers to "
            "one process; allowed is 1"
        )


@dataclass(frozen=True)
class Pretrained(Requirement):
    """A model that begins with the weights of another run, on the same data."""

    path: str = ""
    """The run's folder, or a checkpoint in it."""
    setting: ClassVar[str] = "neg_sampler_args.pretrained"


@dataclass(frozen=True)
class Perturbed(Requirement):
    """The loss also at weights that are moved to where it rises fastest, once the sampler learns.

    Each vector of users and items by ``size · g / |g|``, g its gradient.
    """

    size: float = 0.0

    def refusal(self, sampler: str, why: str) -> UsageError:
        """For a training whose loss cannot be taken again.

        Args:
            sampler: name of the sampler that asks.
            why: the part of a sentence after "but".
        """
        hint = self.hint or "neg_sampler_args.perturbation: 0, which leaves the perturbation out"
        return UsageError(
            f"neg_sampler '{sampler}' takes the loss again under a perturbation of the vectors, "
            f"but {why}; allowed is {hint}."
        )


@dataclass(frozen=True)
class OneList(Requirement):
    """A loss over many negatives, which takes one list of items for a whole batch."""

    def refusal(self, sampler: str, others: Sequence[str]) -> UsageError:
        """For a loss over one negative at a time.

        Args:
            sampler: name of the sampler that asks.
            others: names of the samplers that serve any loss.
        """
        hint = f" ({self.hint})" if self.hint else ""
        return UsageError(
            f"neg_sampler '{sampler}' needs a loss over many negatives, such as --loss=ssm; "
            f"allowed without one: {', '.join(others)}{hint}."
        )


@dataclass(frozen=True)
class SideData(Requirement, ABC):
    """A tensor beside the interactions, handed to the sampler's ``side`` under :attr:`name`."""

    setting: str = field(default="neg_sampler_args", kw_only=True)
    """The setting that asks for it, for sentences."""
    optional: bool = field(default=False, kw_only=True)
    """The sampler does without where there is none: ``side`` then has no such entry."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its key in ``side``."""


@dataclass(frozen=True)
class HeldOutPairs(SideData):
    """``(2, N)`` users and items of the validation and test parts."""

    name = "held_out"


@dataclass(frozen=True)
class KnownPairs(SideData):
    """``(2, N)`` users and items that were shown to them and not taken: known dislikes."""

    name = "known_negatives"

    def missing(self, sampler: str, path: str, reason: str) -> UsageError:
        """For a data set without any.

        Args:
            sampler: name of the sampler that asks.
            path: the file that was looked for, or read.
            reason: why there is none, the part of a sentence after "but".
        """
        return UsageError(
            f"neg_sampler '{sampler}' draws known dislikes, but {reason}; allowed is a file of "
            f"pairs that were shown and not taken as {path}, or another that negatives names "
            "(columns user_id:token and item_id:token), or another sampler, such as rns."
        )


@dataclass(frozen=True)
class UserColumn(SideData):
    """``(U,)`` the group of each user, from a token column of the data set's ``.user`` file."""

    column: str = ""

    @property
    def name(self) -> str:
        """``user:<column>``."""
        return f"user:{self.column}"

    def missing(self, loaded: Sequence[str], user_field: str) -> UsageError:
        """For a data set without such a column.

        Args:
            loaded: the columns that there are.
            user_field: the column of user ids.
        """
        return UsageError(
            f"{self.setting}: '{self.column}' is no column of the data set's .user file (loaded "
            f"columns: {', '.join(loaded) or 'none'}); allowed: {self._others()}such a column, "
            f"loaded with load_col: {{user: [{user_field}, {self.column}]}}."
        )

    def not_groups(self, kind: str) -> UsageError:
        """For a column whose values are no groups.

        Args:
            kind: the column's type in the file's header.
        """
        return UsageError(
            f"{self.setting}: '{self.column}' is a {kind} column of the data set's .user file, "
            f"allowed: {self._others()}a token column, whose values are groups of users "
            f"({self.column}:token in the file's header)."
        )

    def _others(self) -> str:
        return f"{self.hint}, or " if self.hint else ""


@dataclass(frozen=True)
class ModelValues(SideData):
    """``(U, I)`` values of all pairs by a model of the host, in half precision."""

    model: Any = None
    """A mapping ``{model: NAME, setting: value}``, or the path of a run's checkpoint."""
    name = "prior:model"

    def too_many(self, user_num: int, item_num: int, limit: int) -> UsageError:
        """For more pairs than a table of ``limit`` bytes holds."""
        hint = f"; {self.hint}" if self.hint else ""
        return UsageError(
            f"{self.setting}: a model's values of {user_num} x {item_num} pairs take "
            f"{2 * user_num * item_num >> 20} MiB, allowed are {limit >> 20}{hint}."
        )


def of_type(requirements: Iterable[Requirement], kind: type[R]) -> R | None:
    """The first requirement of a type, None where there is none."""
    return next((each for each in requirements if isinstance(each, kind)), None)


def scores_by(scorer: type[Scorer] | None) -> tuple[Scores, ...]:
    """What a sampler asks for that can be served by scorers of a type; None: nothing."""
    if scorer is None:
        return ()
    return (Vectors() if issubclass(scorer, FactorScorer) else Scores(),)


def negatives_by(params: Any) -> tuple[Negatives, ...]:
    """What parameters say of candidates; with :data:`ALL` no user has too few."""
    each = getattr(params, "candidate_num", 1)
    return () if each == ALL else (Negatives(each, not getattr(params, "replacement", True)),)


def side_data_by(name: str, params: Any) -> SideData:
    """What stands behind a name that :meth:`Asking.side_data` gives."""
    if name == HeldOutPairs.name:
        return HeldOutPairs()
    if name == KnownPairs.name:
        return KnownPairs()
    if name == ModelValues.name:
        return ModelValues(model=params.prior)
    return UserColumn(column=name.removeprefix("user:"))


class Asking(Resumable):
    """The part of a sampler that says what it needs.

    A sampler writes :attr:`needs`, or :meth:`requirements_of` where its parameters decide. The
    other methods are how samplers of other packages may still say it, and how one is asked.
    """

    needs: ClassVar[type[Scorer] | None] = None
    """The least capable scorer that serves it; None: it never looks at the model."""
    Params: ClassVar[type[Any]]
    name: ClassVar[str]
    params: Any
    epochs: int | None = None
    """How many epochs the training is to have, whether or not all of them come; None: unknown."""

    def known_epochs(self) -> int:
        """:attr:`epochs`, for a sampler that needs them.

        Raises:
            UsageError: nobody has said it.
        """
        if self.epochs is None:
            raise EpochNumber().refusal(self.name)
        return self.epochs

    @classmethod
    def requirements_of(cls, params: Any) -> tuple[Requirement, ...]:
        """What a sampler with these parameters needs; known before there is one."""
        named = (side_data_by(name, params) for name in cls.side_data(params))
        return (*scores_by(cls.needs), *negatives_by(params), *named)

    @cached_property
    def _stated(self) -> tuple[Requirement, ...]:
        """What is the same in every step, in which it is asked for several times."""
        return type(self).requirements_of(self.params)

    def requirements(self) -> tuple[Requirement, ...]:
        """What this sampler needs; where a method below says something else, the method counts."""
        scores = of_type(self._stated, Scores)
        if self.scorer_needed() is not (scores and scores.scorer):
            scores = of_type(scores_by(self.scorer_needed()), Scores)
        if scores and self.warming_up() and scores.since <= self.epoch:
            scores = replace(scores, since=self.epoch + 1)
        between = of_type(self._stated, ScoresBetweenBatches) or ScoresBetweenBatches()
        rest = (x for x in self._stated if not isinstance(x, (Scores, ScoresBetweenBatches)))
        asked = (scores, between if self.looks_between_batches() else None, *rest)
        return tuple(each for each in asked if each is not None)

    def scorer_needed(self) -> type[Scorer] | None:
        """The least capable scorer that serves it with its parameters."""
        scores = of_type(self._stated, Scores)
        return scores.scorer if scores else None

    def looks_between_batches(self) -> bool:
        """Whether its ``begin_epoch`` looks at scores."""
        return of_type(self._stated, ScoresBetweenBatches) is not None

    def warming_up(self) -> bool:
        """True while negatives are drawn without a look at scores."""
        scores = of_type(self._stated, Scores)
        return scores is not None and self.epoch < scores.since

    @classmethod
    def side_data(cls, params: Any) -> tuple[str, ...]:
        """Names of the data beside the interactions that these parameters need.

        ``user:<column>`` is a ``(U,)`` tensor of group ids, ``held_out`` the ``(2, N)`` pairs of
        the validation and test parts.
        """
        return ()


def serves_any_loss(cls: type[Asking]) -> bool:
    """Whether a sampler trains with its default parameters where no loss over many is set."""
    return of_type(cls.requirements_of(cls.Params()), OneList) is None


def serves_any_data(cls: type[Asking]) -> bool:
    """Whether a sampler trains with its default parameters where there are no known dislikes."""
    known = of_type(cls.requirements_of(cls.Params()), KnownPairs)
    return known is None or known.optional
