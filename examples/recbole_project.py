"""In a RecBole project that is there.

Code that calls RecBole's own functions: two lines more, `import recbole_bns` and `enable()`, and
the configuration understands `neg_sampler`, `loss` and `mixer`. The rest is RecBole's.
"""

from __future__ import annotations

import sys

import recbole_bns

recbole_bns.enable()  # before RecBole's calls

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.model.general_recommender import BPR  # noqa: E402
from recbole.utils import get_trainer, init_seed  # noqa: E402


def main(epochs: int = 20) -> None:
    """Train RecBole's BPR with DNS, by RecBole's calls."""
    sys.argv = sys.argv[:1]  # RecBole reads the command line wherever it makes a Config
    settings = {"neg_sampler": "dns", "epochs": epochs, "learning_rate": 0.01}
    config = Config(model="BPR", dataset="ml-100k", config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))
    model = BPR(config, train.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.fit(train, valid, saved=False, show_progress=False)
    print(trainer.evaluate(test, load_best_model=False))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
