"""``recbole_bns.load``: a trained model that answers in the data set's own ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recbole_bns.adapters.serving import ByHistory, Rows, Served, served
from recbole_bns.common.errors import UsageError
from recbole_bns.datasets.titles import titles_of
from recbole_bns.sampling import Catalogue
from recbole_bns.settings.declared import EXCLUDED

from .folding import REGULARISATION, folded
from .ids import Ids, listed
from .ranking import Best, best, nearest_by_cosine
from .trained import Trained
from .trained import load as load_trained

Named = str | int | Iterable[Any] | None
"""An id or several; None where the meaning says so."""


def load(
    path: str | Path, model_class: type | None = None, data_path: str | Path | None = None
) -> Model:
    """The trained model of a run, with the weights that were tested.

    Args:
        path: the run's folder, or a checkpoint in it.
        model_class: of a model that is not RecBole's.
        data_path: the folder of data sets, where it is no longer the one of the training.

    Raises:
        UsageError: there is no run, its data is gone, or the checkpoint is damaged.
    """
    return Model(load_trained(path, model_class, data_path))


class Model:
    """A trained model: recommendations, scores, likeness and vectors.

    Users and items are called as the data set's files call them; ids are words, and a number is
    taken for the word that it is written as. Tables are DataFrames whose columns of users and
    items have the data set's names (``user_id`` and ``item_id`` where nothing says otherwise).
    An unknown id, wherever it is named, is a ``UsageError`` (a ``ValueError``).

    What a sequential model says of a user follows from the user's whole history in the data set,
    the validation and test parts included: what comes after all that is known. With
    ``exclude="train"`` the history ends before the user's first held-out item, as in an
    evaluation.

    Args:
        trained: of :func:`recbole_bns.training.trained.load`.
    """

    def __init__(self, trained: Trained) -> None:
        self.trained = trained
        self._users, self._items = Ids(trained.users, "user"), Ids(trained.items, "item")
        train = trained.parts["train"]
        self._columns = str(train.uid_field), str(train.iid_field)

    def __repr__(self) -> str:
        config = self.trained.config
        size = f"{len(self._users)} users, {len(self._items)} items"
        return f"<{config['model']} on {config['dataset']}: {size}>"

    @property
    def users(self) -> list[str]:
        """Ids of all users."""
        return list(self._users.tokens[1:])

    @property
    def items(self) -> list[str]:
        """Ids of all items."""
        return list(self._items.tokens[1:])

    @cached_property
    def _served(self) -> Served:
        config = self.trained.config
        return served(self.trained.model, self.trained.parts, config["device"])

    # --- lists ---------------------------------------------------------------------------------

    def recommend(
        self,
        users: Named = None,
        k: int = 20,
        only: Named = None,
        never: Named = None,
        exclude: str = "all",
    ) -> pd.DataFrame:
        """The k best items of each user.

        Args:
            users: ids, each of which counts once; all users of the data set where it is None.
            k: length of a list; shorter where a user has fewer items left, none where none is.
            only: items that may be recommended; None: all.
            never: items that are not.
            exclude: further items that are not: ``all`` that the user has touched, those of the
                ``train`` part, or ``none``.

        Returns:
            columns user, item, ``rank`` from 1, ``score``; users in the order of ``users``. Items
            whose score is no number are left out, which is logged.

        Raises:
            UsageError: an unknown id or ``exclude``, a model that scores by more than ids, or
                none of its scores is a number.
        """
        if exclude not in EXCLUDED:
            raise UsageError(f"--exclude: got '{exclude}', allowed: {', '.join(EXCLUDED)}.")
        everyone = users is None
        who = self._users.all if everyone else self._users.different(users, "--users")
        columns = self._candidates(only, never)
        who = self._with_history(who, exclude, named=not everyone)
        rows, seen = self._served.rows(columns, exclude), self._served.seen(exclude)
        return self._table(self._best(rows, who, columns, k, seen), self._users)

    def recommend_for_history(
        self,
        history: Iterable[Any],
        k: int = 20,
        only: Named = None,
        never: Named = None,
        exclude: str = "all",
        regularisation: float | None = None,
    ) -> pd.DataFrame:
        """The k best items for people who were not in training, by what they have had.

        A sequential model encodes the list, the newest last. Of a model with vectors the item
        vectors stay, and a user's is one ridge solve; see :mod:`recbole_bns.training.folding`.

        Args:
            history: items of one person, or a list of such lists.
            k: length of a list; shorter where fewer are left.
            only: items that may be recommended; None: all.
            never: items that are not.
            exclude: ``all``: the items of the history are not recommended; ``none``: they may be.
            regularisation: of the ridge solve, in units of the item vectors' mean squared length;
                10 where it is None. A sequential model has none.

        Returns:
            columns ``history`` (place among those given, from 0), item, ``rank`` from 1,
            ``score``.

        Raises:
            UsageError: an empty history, an unknown item, or a model without vectors of items.
        """
        if exclude not in ("all", "none"):
            raise UsageError(f"--exclude: got '{exclude}', allowed with a history: all, none.")
        lists = [self._items.numbers(each, "--history") for each in _lists(history)]
        columns = self._candidates(only, never)
        rows = self._rows_of(lists, columns, regularisation)
        seen = None if exclude == "none" else self._seen_of(lists)
        who = torch.arange(len(lists))
        found = self._best(rows, who, columns, k, seen)
        table = self._table(found, None)
        table.insert(0, "history", found.rows.numpy())
        return table

    def similar_items(
        self, items: Named, k: int = 20, only: Named = None, never: Named = None
    ) -> pd.DataFrame:
        """The k items whose vectors have the greatest cosine with an item's, without itself.

        Args:
            items: ids, each of which counts once; all where it is None.
            k: length of a list; shorter where there are fewer.
            only: items that may be found; None: all.
            never: items that are not.

        Returns:
            columns item, ``similar``, ``rank`` from 1, ``score``: the cosine; 0 with a vector of
            zeros.

        Raises:
            UsageError: an unknown item, or a model without vectors.
        """
        which = self._items.all if items is None else self._items.different(items, "--similar")
        columns = self._candidates(only, never)
        return self._likeness(self._vectors[1], which, columns, k, self._items)

    def similar_users(self, users: Named, k: int = 20) -> pd.DataFrame:
        """The k users whose vectors have the greatest cosine with a user's, without that one.

        Returns:
            columns user, ``similar``, ``rank`` from 1, ``score``: the cosine; 0 with a vector of
            zeros.

        Raises:
            UsageError: an unknown user, or a model without vectors.
        """
        which = self._users.all if users is None else self._users.different(users, "--users")
        return self._likeness(self._vectors[0], which, self._users.all, k, self._users)

    # --- scores and vectors --------------------------------------------------------------------

    def score(self, users: Any, items: Any = None) -> np.ndarray:
        """Scores of pairs, as the lists have them: a float32 array (N,).

        Args:
            users: ids (N,), or, without ``items``, a DataFrame whose columns are named as the data
                set's, or ``user`` and ``item``, or are two.
            items: ids (N,); None where ``users`` is a table.

        Raises:
            UsageError: an unknown id, columns that are not there, or as many users as items are
                not.
        """
        users, items = self._pairs(users, items)
        who, what = self._users.numbers(users, "users"), self._items.numbers(items, "items")
        if len(who) != len(what):
            raise UsageError(f"score: got {len(who)} users and {len(what)} items; allowed: pairs.")
        if not len(who):
            return np.empty(0, np.float32)
        self._with_history(who, "all", named=True)
        with torch.no_grad():
            return self._served.pairs(who, what).detach().cpu().float().numpy()

    @property
    def user_vectors(self) -> pd.DataFrame:
        """A row a user, the index its id: ``(U, D)`` numbers, in columns ``d0`` and on.

        Products with :attr:`item_vectors` are the scores. LightGCN's are those after propagation,
        a sequential model's its encoding of the user's whole history.

        Raises:
            UsageError: the model has no such vectors.
        """
        return _frame(self._vectors[0], self._users, self._columns[0])

    @property
    def item_vectors(self) -> pd.DataFrame:
        """The same of items ``(I, D)``."""
        return _frame(self._vectors[1], self._items, self._columns[1])

    @cached_property
    def titles(self) -> dict[str, str]:
        """Item -> title, of a column like ``title`` in the data set's ``.item`` file, if any."""
        return titles_of(self.trained.config)

    # --- how -----------------------------------------------------------------------------------

    @cached_property
    def _vectors(self) -> tuple[Tensor, Tensor]:
        vectors = self._served.vectors()
        if vectors is None:
            raise UsageError(
                f"model: {self.trained.config['model']} has no vectors whose dot products are its "
                "scores; allowed are BPR, LightGCN, SpectralCF, sequential models such as SASRec "
                "and GRU4Rec, and models registered with recbole_bns.factors; recommend, score and "
                "predict work for every model that scores by user and item."
            )
        return vectors[0].detach().cpu().float(), vectors[1].detach().cpu().float()

    def _candidates(self, only: Named, never: Named) -> Tensor:
        """Numbers (J,) of what may be recommended."""
        allowed = torch.zeros(len(self._items) + 1, dtype=torch.bool)
        allowed[self._items.all if only is None else self._items.numbers(only, "--only")] = True
        if never is not None:
            allowed[self._items.numbers(never, "--never")] = False
        return allowed.nonzero().squeeze(1)

    def _with_history(self, who: Tensor, exclude: str, *, named: bool) -> Tensor:
        """Those of some users about whom the model can say something.

        Raises:
            UsageError: one who was named is not among them.
        """
        without = torch.isin(who, self._served.without_history(exclude))
        if not bool(without.any()):
            return who
        first = self._users.tokens[int(who[without][0])]
        reason = "a single interaction, after which nothing is known to have come"
        if named:
            raise UsageError(
                f"--users: '{first}' has {reason}, so that {self.trained.config['model']} has no "
                "history to go on; recommend_for_history (--history) takes the item itself."
            )
        getLogger().warning(f"{int(without.sum())} users, such as '{first}', have {reason}.")
        return who[~without]

    def _best(
        self, rows: Rows, who: Tensor, columns: Tensor, k: int, seen: Catalogue | None
    ) -> Best:
        _check_k(k)
        with torch.no_grad():
            at_once = self._served.at_once(max(len(columns), 1))
            return best(rows, who, columns, k, at_once, seen)

    def _rows_of(self, lists: Sequence[Tensor], columns: Tensor, ridge: float | None) -> Rows:
        if isinstance(self._served, ByHistory):
            if ridge is not None:
                raise UsageError(
                    f"regularisation: got {ridge}, but {self.trained.config['model']} encodes the "
                    "list, and solves nothing; leave it out."
                )
            return self._served.rows_of(lists, columns)
        ridge = REGULARISATION if ridge is None else ridge
        if not 0 < ridge < float("inf"):
            raise UsageError(f"regularisation: got {ridge}, allowed is a number > 0.")
        table = self._vectors[1]
        people, chosen = folded([each.unique() for each in lists], table, ridge), table[columns].T
        return lambda places: people[places] @ chosen

    def _seen_of(self, lists: Sequence[Tensor]) -> Catalogue:
        owners = torch.arange(len(lists)).repeat_interleave(torch.tensor([*map(len, lists)]))
        return Catalogue(owners, torch.cat(list(lists)), len(lists), len(self._items) + 1)

    def _likeness(
        self, vectors: Tensor, which: Tensor, columns: Tensor, k: int, ids: Ids
    ) -> pd.DataFrame:
        _check_k(k)
        found = nearest_by_cosine(vectors, which, columns, k)
        name = self._columns[ids is self._items]
        named = {name: ids.names(found.rows), "similar": ids.names(found.columns)}
        return pd.DataFrame({**named, "rank": found.ranks.numpy(), "score": found.scores.numpy()})

    def _table(self, found: Best, people: Ids | None) -> pd.DataFrame:
        user, item = self._columns
        columns = {} if people is None else {user: people.names(found.rows)}
        columns[item] = self._items.names(found.columns)
        columns |= {"rank": found.ranks.numpy(), "score": found.scores.numpy()}
        return pd.DataFrame(columns)

    def _pairs(self, users: Any, items: Any) -> tuple[Any, Any]:
        """Two sequences of ids."""
        if items is not None:
            return users, items
        if not isinstance(users, pd.DataFrame):
            raise UsageError("score: allowed is a DataFrame of pairs, or users and items.")
        for names in (self._columns, ("user", "item"), tuple(users.columns)):
            if len(names) == 2 and set(names) <= set(users.columns):
                return users[names[0]], users[names[1]]
        raise UsageError(
            f"score: the table has columns {', '.join(map(str, users.columns))}; allowed are "
            f"{self._columns[0]} and {self._columns[1]}, or user and item."
        )


def _check_k(k: int) -> None:
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise UsageError(f"--k: got {k}, allowed is an integer >= 1.")


def _lists(history: Iterable[Any]) -> list[list[str]]:
    """Lists of ids: of one list, or of several."""
    given = [history] if isinstance(history, (str, int)) else list(history)
    several = [each for each in given if isinstance(each, Iterable) and not isinstance(each, str)]
    if several and len(several) < len(given):
        raise UsageError("--history: allowed is a list of items, or a list of such lists.")
    lists = [listed(each) for each in several] if several else [listed(given)]
    if not all(lists):
        raise UsageError("--history: got no item; allowed is a list of one item or more.")
    return lists


def _frame(vectors: Tensor, ids: Ids, name: str) -> pd.DataFrame:
    """Vectors but the padding's, by id."""
    index = pd.Index(ids.tokens[1:], name=name)
    columns = [f"d{number}" for number in range(vectors.shape[1])]
    return pd.DataFrame(vectors[1:].numpy(), index=index, columns=columns)
