"""Who is trained on and who is tested on: subject-disjoint sides, published sides, and the cap of large datasets.

The side of a person comes from the SHA-256 of a seed and of the person's code, qualified by the family of the dataset:
"TUH/aaaaaaab" is one person in all TUH corpora and stands on one side of all of them. It depends on nothing else, so
recordings and persons may be added without moving anybody.

In a dataset of less than `SMALL` persons that would often leave a side empty or without patients. There the sides have
exact sizes: in the order of the same hash, each person goes to the side that lacks most, in the whole dataset and among
the persons of the same diagnosis. New recordings of known persons move nobody; a new person may. A family of several
datasets never does this, because one of them may be absent.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from corpus.datasets.base import DatasetCard, Entry, Split

SIDES: tuple[Split, ...] = get_args(Split)
SMALL = 100  # persons; of so many a tenth drawn by hash is 10 with a standard deviation of 3


@dataclass(frozen=True)
class SplitPolicy:
    """How sides are given.

    Attributes:
        seed: of every hash.
        fractions: shares of persons for train, val and test.
        published: take the publisher's side where there is one.

    Raises:
        ValueError: fractions that are no three shares of one.
    """

    seed: int = 0
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    published: bool = False

    def __post_init__(self) -> None:
        if len(self.fractions) != len(SIDES) or min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise ValueError(f"got fractions {self.fractions}, expected shares of {', '.join(SIDES)} that sum to 1")


@dataclass(frozen=True)
class SplitPlan:
    """The side of every recording, and what is to be said about it.

    Attributes:
        policy: that made it.
        sides: (dataset, recording id) to side.
        method: of each dataset: "subject hash", "subject strata" or "published".
        shared: persons on more than one side, for each dataset they occur in; empty lists are left out.
    """

    policy: SplitPolicy
    sides: Mapping[tuple[str, str], Split]
    method: Mapping[str, str]
    shared: Mapping[str, tuple[str, ...]]

    @property
    def sha256(self) -> str:
        """Hash of all sides: two builds with the same hash trained and tested on the same recordings."""
        lines = sorted(f"{dataset}\t{recording}\t{side}\n" for (dataset, recording), side in self.sides.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def summary(self) -> dict[str, Any]:
        """For the manifest: seed, shares, hash, and for each dataset its method and whether persons are disjoint."""
        return {
            "seed": self.policy.seed,
            "fractions": dict(zip(SIDES, self.policy.fractions, strict=True)),
            "published": self.policy.published,
            "sha256": self.sha256,
            "datasets": {
                name: {"method": method, "subject_disjoint": name not in self.shared}
                for name, method in sorted(self.method.items())
            },
        }


def subject_key(card: DatasetCard, entry: Entry) -> str:
    """The code of a person, qualified by the family of the dataset: "TUH/aaaaaaab", "eegmat/Subject03"."""
    return f"{card.family or card.name}/{entry.subject}"


def plan_splits(
    datasets: Iterable[tuple[DatasetCard, Iterable[Entry]]], policy: SplitPolicy | None = None
) -> SplitPlan:
    """Give every recording a side.

    Args:
        datasets: cards with all their entries; the order is without effect.
        policy: seed, shares, and whether published sides are taken; then an entry without one goes where its person
            is published, in this dataset or in another of the family, else by hash.

    Returns:
        The plan; `shared` names the persons that a published split puts on two sides, across a family.
    """
    policy = policy or SplitPolicy()
    sides: dict[tuple[str, str], Split] = {}
    method: dict[str, str] = {}
    persons: dict[str, dict[str, set[str]]] = {}  # dataset -> person -> sides
    lists = [(card, list(found)) for card, found in datasets]
    known: dict[str, Split] = {}  # persons by their published side
    if policy.published:
        known = dict(sorted((subject_key(card, e), e.split) for card, entries in lists for e in entries if e.split))
    for card, entries in lists:
        keys = [subject_key(card, entry) for entry in entries]
        published = policy.published and any(entry.split for entry in entries)
        strata = _strata(keys, entries)
        small = not published and not card.family and len(strata) < SMALL
        drawn = _stratified(strata, policy) if small else {key: _drawn(key, policy) for key in strata}
        method[card.name] = "published" if published else "subject strata" if small else "subject hash"
        drawn |= {key: known[key] for key in strata if key in known}
        of_person = persons.setdefault(card.name, defaultdict(set))
        for key, entry in zip(keys, entries, strict=True):
            side = entry.split if published and entry.split else drawn[key]
            sides[card.name, entry.id] = side
            of_person[key].add(side)
    return SplitPlan(policy, sides, method, _shared(persons))


def _shared(persons: Mapping[str, Mapping[str, set[str]]]) -> dict[str, tuple[str, ...]]:
    everywhere: dict[str, set[str]] = defaultdict(set)
    for of_person in persons.values():
        for key, sides in of_person.items():
            everywhere[key] |= sides
    found = {name: tuple(sorted(k for k in of if len(everywhere[k]) > 1)) for name, of in persons.items()}
    return {name: keys for name, keys in found.items() if keys}


def _strata(keys: Sequence[str], entries: Sequence[Entry]) -> dict[str, tuple[str, ...]]:
    """The diagnoses of each person, over all its recordings."""
    diagnoses: dict[str, set[str]] = {key: set() for key in keys}
    for key, entry in zip(keys, entries, strict=True):
        diagnoses[key].update(entry.diagnosis)
    return {key: tuple(sorted(values)) for key, values in diagnoses.items()}


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _drawn(key: str, policy: SplitPolicy) -> Split:
    """The side of a person from its hash alone."""
    draw = int(_rank(policy.seed, key)[:13], 16) / 16**13  # 52 bits: exact in float64
    edge = 0.0
    for side, fraction in zip(SIDES, policy.fractions, strict=True):
        edge += fraction
        if draw < edge:
            return side
    return max(zip(policy.fractions, SIDES, strict=True))[1]  # the shares sum to a rounding below 1


def _stratified(strata: Mapping[str, tuple[str, ...]], policy: SplitPolicy) -> dict[str, Split]:
    """Sides of exact sizes, each diagnosis spread over them."""
    left = _quotas(len(strata), policy.fractions)
    total = dict(left)
    sizes = Counter(strata.values())
    taken: Counter[tuple[tuple[str, ...], Split]] = Counter()
    seen: Counter[tuple[str, ...]] = Counter()
    order = []  # the strata interleaved, each in the order of the hash
    for key in sorted(strata, key=lambda k: _rank(policy.seed, k)):
        stratum = strata[key]
        order.append(((seen[stratum] + 0.5) / sizes[stratum], _rank(policy.seed, key), key))
        seen[stratum] += 1
    result: dict[str, Split] = {}
    for _, _, key in sorted(order):
        stratum = strata[key]

        def lacks(side: Split, stratum: tuple[str, ...] = stratum) -> float:
            wanted = total[side] / len(strata) * sizes[stratum]
            return left[side] / total[side] + 1 - taken[stratum, side] / wanted

        side = max((side for side in SIDES if left[side]), key=lacks)
        left[side] -= 1
        taken[stratum, side] += 1
        result[key] = side
    return result


def _quotas(count: int, fractions: Sequence[float]) -> dict[Split, int]:
    """Persons a side, by largest remainder; a side that is asked for gets one, where there are enough persons."""
    asked = {side: fraction * count for side, fraction in zip(SIDES, fractions, strict=True)}
    quota = {side: int(share + 1e-9) for side, share in asked.items()}
    by_remainder = sorted(SIDES, key=lambda side: quota[side] - asked[side])
    for side in by_remainder[: count - sum(quota.values())]:
        quota[side] += 1
    wanted = [side for side in SIDES if asked[side] > 0]
    for side in wanted:
        largest = max(SIDES, key=lambda s: quota[s])
        if quota[side] == 0 and count >= len(wanted) and quota[largest] > 1:
            quota[side], quota[largest] = 1, quota[largest] - 1
    return quota


# -- the cap ---------------------------------------------------------------------------------------------------------

BACKGROUND = frozenset(
    {
        "", "background", "bckg", "normal", "no seizure", "no epilepsy", "control", "healthy", "healthy control",
        "rest", "other", "none",
    }
)  # fmt: skip
"""Label values, in lower case, that the cap takes for background; a segment without a label ("") is background."""


@dataclass(frozen=True)
class Candidate:
    """A segment that the cap may keep: its id, dataset, person and side, its label values, ids of its predecessors."""

    segment_id: str
    dataset: str
    subject: str
    split: str
    values: tuple[str, ...]
    history: tuple[str, ...] = ()


def cap_segments(candidates: Iterable[Candidate], limits: Mapping[str, int], seed: int = 0) -> dict[str, bool]:
    """Choose at most so many segments for each dataset and side, pathological and rare labels first.

    The rule, for one dataset and side with more segments than its limit:

    1. A segment belongs to the rarest of its pathological labels, without one to the rarest of its background labels
       (`BACKGROUND`).
    2. All classes have an equal share of the limit. A class no larger than its share is kept whole; what it leaves
       over goes in equal shares to the pathological classes that are not whole yet, and to background only when all
       of these are.
    3. Within a class that is not whole the same is done with persons: equal shares, persons with few segments whole.
       Among the segments of a person a seeded hash of the segment id decides.

    NeuroNarrator keeps about 20,000 training segments a dataset, pathological events first; its weights are not stated.

    Args:
        candidates: all segments of a corpus, in any order.
        limits: the most segments of one dataset on a side, such as {"train": 20000}; other sides are kept whole.
        seed: of the hash.

    Returns:
        Segment id to true for a segment chosen, to false for one that is only kept as the history of a chosen one.
    """
    groups: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.dataset, candidate.split].append(candidate)
    chosen: list[Candidate] = []
    for (_, split), group in groups.items():
        limit = limits.get(split)
        chosen += group if limit is None or len(group) <= limit else _capped(group, limit, seed)
    result = dict.fromkeys((past for candidate in chosen for past in candidate.history), False)
    return result | dict.fromkeys((candidate.segment_id for candidate in chosen), True)


def _capped(group: Sequence[Candidate], limit: int, seed: int) -> list[Candidate]:
    counts = Counter(value for candidate in group for value in set(candidate.values))
    classes: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in group:
        classes[_class_of(candidate, counts)].append(candidate)
    sizes = {value: len(members) for value, members in classes.items()}
    shares = _fill(sizes, limit, [v for v in sizes if v.lower() not in BACKGROUND], seed)
    chosen = []
    for value, members in classes.items():
        persons: dict[str, list[Candidate]] = defaultdict(list)
        for candidate in sorted(members, key=lambda c: _rank(seed, c.segment_id)):
            persons[candidate.subject].append(candidate)
        quota = _fill({person: len(own) for person, own in persons.items()}, shares[value], [], seed)
        chosen += [candidate for person, own in persons.items() for candidate in own[: quota[person]]]
    return chosen


def _class_of(candidate: Candidate, counts: Mapping[str, int]) -> str:
    def order(value: str) -> tuple[bool, int, str]:
        return value.lower() in BACKGROUND, counts[value], value

    return min(candidate.values, key=order, default="")


def _fill(sizes: Mapping[str, int], limit: int, first: Sequence[str], seed: int) -> dict[str, int]:
    """Shares of a limit: equal ones, of which none exceeds its size; what is left over goes to `first`, then to all."""
    share = dict.fromkeys(sizes, 0)
    left = _deal(share, sizes, limit, seed)
    for group in (first, list(sizes)):
        wanted = {name: sizes[name] for name in group}
        while left and any(share[name] < wanted[name] for name in wanted):
            left = _deal(share, wanted, left, seed)
    return share


def _deal(share: dict[str, int], sizes: Mapping[str, int], left: int, seed: int) -> int:
    """Add an equal part of `left` to every share below its size; returns what is left over."""
    hungry = sorted((name for name in sizes if share[name] < sizes[name]), key=lambda name: _rank(seed, name))
    part, extra = divmod(left, max(len(hungry), 1))
    for i, name in enumerate(hungry):
        given = min(part + (i < extra), sizes[name] - share[name])
        share[name] += given
        left -= given
    return left
