"""Which disc has what of the studies that there are."""

from dataclasses import dataclass
from random import Random

from scripts.randommedia.world import Series, Shot, Study


@dataclass(frozen=True, slots=True)
class Share:
    """What one disc has of a *study*: some of its series, and of each some instances."""

    study: Study
    series: list[tuple[Series, list[Shot]]]


def shares(rng: Random, studies: list[Study], discs: int) -> list[list[Share]]:
    """Return what each of so many discs has; each study is on one of them at least."""
    found: list[list[Share]] = [[] for _ in range(discs)]
    for study in studies:
        for copy, disc in enumerate(_discs(rng, study, discs)):
            found[disc].append(_share(rng, study, whole=copy == 0))
    return [each for each in found if each]


def _discs(rng: Random, study: Study, discs: int) -> list[int]:
    # Copies that nothing tells apart would be in folders that nothing tells apart.
    is_known = study.person.patient_id and study.uid
    most = discs if is_known and all(each.uid for each in study.series) else 1
    return rng.sample(range(discs), rng.randint(1, most))


def _share(rng: Random, study: Study, *, whole: bool) -> Share:
    chosen = [(series, series.shots) for series in study.series]
    if whole or rng.random() < 0.5:
        return Share(study, chosen)
    some = rng.sample(chosen, rng.randint(1, len(chosen)))
    return Share(
        study,
        [
            (series, rng.sample(shots, rng.randint(1, len(shots))))
            for series, shots in some
        ],
    )
