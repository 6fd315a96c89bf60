"""Benches in the four formats of CerebraGloss-Bench: our open one, made and read, and the published one, read."""

from collections.abc import Mapping
from pathlib import Path

from corpus.bench.experts import make_from_votes
from corpus.bench.items import (
    FACTS_FILE,
    ITEMS_FILE,
    PARTS,
    Bench,
    BenchItem,
    Choice,
    Question,
    identify,
    pseudonym,
    read_bench,
    write_bench,
)
from corpus.bench.make import FIRST_PERSON, N_ITEMS, make_simulated, references
from corpus.bench.published import read_published
from corpus.datasets import get_dataset


def make_bench(
    out: str | Path, voted: Mapping[str, str | Path] | None = None, n_items: int = N_ITEMS, seed: int = 0
) -> Bench:
    """Make our open bench in a folder: simulated persons, and recordings that experts voted on.

    Args:
        out: folder; an earlier bench there is replaced.
        voted: folder of each dataset with votes, such as {"iiic": ..., "iiic-irr": ...}.
        n_items: of simulated persons.
        seed: another one gives other persons, wording and order; the same one the same bytes.

    Raises:
        ValueError: a dataset without votes.
    """
    made = list(make_simulated(n_items, seed)) if n_items else []
    sources = [{"name": "simulated", "licence": "none needed", "citation": "corpus.simulate"}]
    for name, root in (voted or {}).items():
        card = get_dataset(name).card
        made += make_from_votes(root, name, seed=seed)
        sources.append({"name": card.name, "licence": card.licence, "citation": card.citation})
    topics = [item.topics[0] for item, _ in made]
    facts = {
        "seed": seed,
        "sources": sources,
        "topics": {topic: topics.count(topic) for topic in dict.fromkeys(topics)},
        "n_subjects": len({item.subject for item, _ in made}),
    }
    write_bench(out, made, facts)
    return read_bench(out)


def open_bench(root: str | Path) -> Bench:
    """A bench of ours, or the published one, by what the folder holds.

    Raises:
        FileNotFoundError: neither: no `bench.json` with `items.jsonl`, and no picture `N_av.jpg`.
        ValueError: damaged.
    """
    root = Path(root)
    ours = (root / FACTS_FILE).is_file() and (root / ITEMS_FILE).is_file()
    return read_bench(root) if ours else read_published(root)


__all__ = [
    "FIRST_PERSON", "N_ITEMS", "PARTS", "Bench", "BenchItem", "Choice", "Question", "identify", "make_bench",
    "make_from_votes", "make_simulated", "open_bench", "pseudonym", "read_bench", "read_published", "references",
    "write_bench",
]  # fmt: skip
