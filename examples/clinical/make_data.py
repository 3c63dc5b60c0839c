"""Write an invented table of Spanish clinical visits, as CSV and as a SQLite database.

    python make_data.py [--rows 2000] [--seed 0] [--out data/raw]

It has the columns of the table that the project is made for (sexo, edad, grupo, especialidad_medica, subjetivo,
objetivo, concatenada) and the patient of each visit, six groups in the shares 3223 : 2211 : 1818 : 1260 : 991 : 497,
and that table's traps: most patients come more than once and are described in the same words each time, 2 % of the
visits are entered twice, some texts write their accents as characters of their own (NFD), and of some visits nothing
is written down. `--rows` is the number of visits, the repeated ones included.
"""

from __future__ import annotations

import argparse
import sqlite3
import unicodedata
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import vocabulary as words

CSV = "historias_raw_20250101.csv"
DATABASE = "historias.sqlite"
TABLE = "historias"
COLUMNS = (
    "paciente",
    "sexo",
    "edad",
    "grupo",
    "especialidad_medica",
    "subjetivo",
    "objetivo",
    "concatenada",
)

TWICE = 0.02
"""Visits entered twice."""
DECOMPOSED = 0.05
"""Visits whose accents are characters of their own."""
SILENT = 0.015
"""Visits with neither text."""
ELSEWHERE = 0.08
"""Visits of a patient who mostly comes for something else."""
MISTAKEN = 0.05
"""Visits whose groups were mixed up."""


def make_visits(rows: int, seed: int) -> pd.DataFrame:
    """Return ``rows`` visits in random order."""
    rng = np.random.default_rng(seed)
    repeated = round(rows * TWICE)
    groups = draw_groups(rows - repeated, rng)
    patients = draw_patients(groups, rng)
    people = describe_patients(groups, patients, rng)
    visits = pd.DataFrame([describe_visit(groups[row], people[patients[row]], rng) for row in range(len(groups))])
    wrong = rng.random(len(visits)) < MISTAKEN
    visits.loc[wrong, "grupo"] = rng.permutation(visits.loc[wrong, "grupo"].to_numpy())
    visits = pd.concat([visits, visits.iloc[rng.choice(len(visits), repeated, replace=False)]])
    return visits.iloc[rng.permutation(len(visits))].reset_index(drop=True)[list(COLUMNS)]


def draw_groups(rows: int, rng: np.random.Generator) -> list[words.Group]:
    """Return the group of each visit: shares as even as whole numbers allow."""
    shares = np.array([group.share for group in words.GROUPS])
    ends = np.round(np.cumsum(shares) / shares.sum() * rows).astype(int)
    place = np.searchsorted(ends, np.arange(rows), side="right")
    return [words.GROUPS[number] for number in rng.permutation(place)]


def draw_patients(groups: list[words.Group], rng: np.random.Generator) -> list[int]:
    """Return the patient of each visit: one to several visits each, mostly within one group."""
    patients = np.zeros(len(groups), dtype=int)
    known = 0
    for group in words.GROUPS:
        visits = [row for row, own in enumerate(groups) if own is group]
        patient = known + rng.integers(0, max(1, round(len(visits) / 2.5)), len(visits))
        patients[visits] = patient
        known = int(patient.max(initial=known)) + 1
    elsewhere = np.flatnonzero(rng.random(len(groups)) < ELSEWHERE)
    patients[elsewhere] = rng.choice(patients, len(elsewhere))
    return patients.tolist()


def describe_patients(
    groups: list[words.Group], patients: list[int], rng: np.random.Generator
) -> dict[int, dict[str, object]]:
    """Return sex, age and the words in which each patient is always described."""
    first = {patient: group for group, patient in reversed(list(zip(groups, patients, strict=True)))}
    people: dict[int, dict[str, object]] = {}
    for patient, group in sorted(first.items()):
        mean, deviation = group.age
        age = int(np.clip(rng.normal(mean, deviation), 1, 97))
        woman = bool(rng.random() < group.women)
        trade = "" if age < 18 else f", {rng.choice(words.TRADES)}, {rng.choice(words.HABITS)}"
        people[patient] = {
            "paciente": f"P{patient + 1:05d}",
            "sexo": "F" if woman else "M",
            "edad": age,
            "who": ("niña" if woman else "niño") if age < 13 else ("mujer" if woman else "varón"),
            "habits": f"Vive en {rng.choice(words.PLACES)}{trade}.",
        }
    return people


def describe_visit(group: words.Group, person: dict[str, object], rng: np.random.Generator) -> dict[str, object]:
    """Return one visit; either text may be missing."""
    said = draw_phrases(group, "complaints", words.COMMON_COMPLAINTS, rng)
    said = [f"{phrase} {rng.choice(words.WHEN)}" if rng.random() < 0.4 else phrase for phrase in said]
    said = [f"{phrase}, {rng.choice(words.HOW)}" if rng.random() < 0.25 else phrase for phrase in said]
    seen = draw_phrases(group, "findings", words.COMMON_FINDINGS, rng)
    who = f"{capital(str(person['who']))} de {person['edad']} años."
    texts: list[str | None] = [
        f"{who} Consulta por {'; '.join(said)}. {person['habits']}",
        " ".join([f"{capital(phrase)}." for phrase in seen] + [measure(rng)]),
    ]
    if rng.random() < DECOMPOSED:
        texts = [unicodedata.normalize("NFD", text) for text in texts if text]
    fate = rng.random()
    if fate < SILENT:
        texts = [None, None]
    elif fate < 4 * SILENT:
        texts[int(rng.integers(2))] = None
    specialty = group.specialty if rng.random() < 0.3 else str(rng.choice(words.GENERAL))
    if isinstance(person["edad"], int) and person["edad"] < 14:
        specialty = words.CHILDREN
    return {
        **{name: person[name] for name in ("paciente", "sexo", "edad")},
        "grupo": group.name,
        "especialidad_medica": specialty,
        "subjetivo": texts[0],
        "objetivo": texts[1],
        "concatenada": " ".join(text for text in texts if text) or None,
    }


def draw_phrases(group: words.Group, kind: str, common: tuple[str, ...], rng: np.random.Generator) -> list[str]:
    """Return one to three different phrases: of the group, common ones, and now and then another group's."""
    found: dict[str, None] = {}
    for _ in range(int(rng.integers(1, 4))):
        luck = rng.random()
        if luck < OWN:
            pool = getattr(group, kind)
        elif luck < OWN + FOREIGN:
            pool = getattr(words.GROUPS[int(rng.integers(len(words.GROUPS)))], kind)
        else:
            pool = common
        found[str(rng.choice(pool))] = None
    return list(found)


OWN = 0.55
"""Phrases that tell the group."""
FOREIGN = 0.12
"""Phrases of any group, which mislead."""


def measure(rng: np.random.Generator) -> str:
    """Return the vital signs of a visit: no two are written alike, and they tell nothing of the group."""
    pressure = f"{int(rng.normal(125, 14))}/{int(rng.normal(78, 9))}"
    return f"Presión {pressure}, pulso {int(rng.normal(78, 11))}, temperatura {rng.normal(36.6, 0.4):.1f}."


def capital(text: str) -> str:
    """Return the text with its first letter in upper case and the rest as it is."""
    return text[0].upper() + text[1:]


def write_csv(visits: pd.DataFrame, file: Path) -> None:
    """Write the visits as CSV in UTF-8."""
    visits.to_csv(file, index=False, lineterminator="\n")


def write_database(visits: pd.DataFrame, file: Path) -> None:
    """Write the visits into the table `historias` of a new SQLite database."""
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            f"CREATE TABLE {TABLE} (paciente TEXT, sexo TEXT, edad INTEGER, grupo TEXT, "
            "especialidad_medica TEXT, subjetivo TEXT, objetivo TEXT, concatenada TEXT)"
        )
        connection.executemany(
            f"INSERT INTO {TABLE} ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})",
            visits.astype(object).where(visits.notna(), None).itertuples(index=False, name=None),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000, help="visits to write (default 2,000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / "raw", help="the folder")
    chosen = parser.parse_args()
    visits = make_visits(chosen.rows, chosen.seed)
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_csv(visits, chosen.out / CSV)
    write_database(visits, chosen.out / DATABASE)
    print(f"{len(visits):,} visits of {visits['paciente'].nunique():,} patients")
    print(f"{chosen.out / CSV}\n{chosen.out / DATABASE}")


if __name__ == "__main__":
    main()
