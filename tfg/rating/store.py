"""Raters, what each of them sees, and their votes, in one SQLite file that several processes use at once.

A vote is on the disk before the page goes on. The file is in write-ahead mode: reading never waits for a rater, raters
wait for each other for a moment at most. (It needs a local disk: SQLite's locks do not hold on network drives.)

No personal data is kept: a rater is a random code, and there is no column for a name, an address or a browser.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tfg.errors import DataError
from tfg.rating.design import Design, StudyDesign, Trial
from tfg.rating.single import SingleDesign

_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that is taken for another
_WAIT = 30.0  # seconds for which a writer waits for another
_SCHEMA = """
CREATE TABLE study (plan TEXT NOT NULL);
CREATE TABLE raters (code TEXT PRIMARY KEY, number INTEGER UNIQUE, consent TEXT NOT NULL);
CREATE TABLE trials (
    rater TEXT NOT NULL REFERENCES raters, place INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    shown_left TEXT NOT NULL, shown_right TEXT NOT NULL, expected TEXT NOT NULL, PRIMARY KEY (rater, place)
);
CREATE TABLE votes (
    rater TEXT NOT NULL, place INTEGER NOT NULL, dimension TEXT NOT NULL, choice TEXT NOT NULL,
    seconds REAL NOT NULL, time TEXT NOT NULL,
    PRIMARY KEY (rater, place, dimension), FOREIGN KEY (rater, place) REFERENCES trials
);
"""


@dataclass(frozen=True)
class Plan:
    """What a study is: written once, when its file is made.

    :ivar design: who sees what.
    :ivar questions: what is asked of each pair or video: dimension, such as ``"lip"``, to the sentence on the page.
    :ivar title: of the page; ``consent``: what raters agree to, with empty lines between paragraphs.
    :ivar contact: whom raters tell their code if they want their votes deleted.
    """

    design: StudyDesign
    questions: Mapping[str, str]
    title: str
    consent: str
    contact: str

    def to_json(self) -> str:
        """The plan as text."""
        rest = {
            "questions": dict(self.questions),
            "title": self.title,
            "consent": self.consent,
            "contact": self.contact,
        }
        return json.dumps({"design": vars(self.design), **rest})

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """What :meth:`to_json` wrote."""
        plan = json.loads(text)
        design = plan.pop("design")
        design |= {name: tuple(design[name]) for name in ("methods", "subjects")}
        return cls(SingleDesign(**design) if "videos" in design else Design(**design), **plan)


@dataclass(frozen=True)
class Vote:
    """One answer, with the trial that it is the answer to.

    :ivar place: of the trial in the rater's session, from 0.
    :ivar seconds: from the moment the trial was shown, videos included.
    :ivar time: when, ISO 8601 in UTC.
    """

    rater: str
    place: int
    trial: Trial
    dimension: str
    choice: str
    seconds: float
    time: str

    @property
    def failed(self) -> bool:
        """Whether this is a check that was not passed."""
        return bool(self.trial.expected) and self.choice != self.trial.expected


@dataclass(frozen=True)
class Progress:
    """Where a rater is: ``trial`` is the next one at ``place``, or None at the end."""

    code: str
    done: int
    total: int
    place: int
    trial: Trial | None


class VoteStore:
    """The votes of one study.

    :param path: of a file that :meth:`create` made.
    :raises DataError: there is no such file, or it is another kind of file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such file; expected the votes.sqlite of a study")
        try:
            with self._open() as db:
                (plan,) = db.execute("SELECT plan FROM study").fetchone()
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.path}: {error}; expected the votes.sqlite of a study") from error
        self.plan = Plan.from_json(plan)

    @classmethod
    def create(cls, path: Path | str, plan: Plan) -> VoteStore:
        """A new file without votes.

        :raises DataError: the file exists already; votes are never overwritten.
        """
        path = Path(path)
        try:
            path.touch(exist_ok=False)
        except FileExistsError as error:
            raise DataError(
                f"{path}: exists already; votes are not overwritten: give a new name, or move it"
            ) from error
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(_SCHEMA)
        with db:
            db.execute("INSERT INTO study VALUES (?)", (plan.to_json(),))
        db.close()
        return cls(path)

    def register(self) -> str:
        """Admit a rater who has consented, and return the code.

        The rater gets the lowest number that nobody has, and the session that the design has for it.
        """
        code = "".join(secrets.choice(_LETTERS) for _ in range(6))
        with self._write() as db:
            taken = {number for (number,) in db.execute("SELECT number FROM raters WHERE number IS NOT NULL")}
            number = next(n for n in range(len(taken) + 1) if n not in taken)
            db.execute("INSERT INTO raters VALUES (?, ?, ?)", (code, number, _now()))
            db.executemany(
                "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (code, place, t.kind, t.subject, t.left, t.right, t.expected)
                    for place, t in enumerate(self.plan.design.session(number))
                ],
            )
        return code

    def progress(self, code: str) -> Progress | None:
        """Where a rater is; None where nobody has this code. Case, spaces and hyphens do not matter."""
        code = code.upper().replace("-", "").replace(" ", "")
        with self._open() as db:
            rows = db.execute(
                "SELECT place, kind, subject, shown_left, shown_right, expected FROM trials t WHERE rater = ? AND NOT "
                "EXISTS (SELECT 1 FROM votes v WHERE v.rater = t.rater AND v.place = t.place) ORDER BY place",
                (code,),
            ).fetchall()
            (total,) = db.execute("SELECT count(*) FROM trials WHERE rater = ?", (code,)).fetchone()
        if not total:
            return None
        place, trial = (rows[0][0], Trial(*rows[0][1:])) if rows else (total, None)
        return Progress(code, total - len(rows), total, place, trial)

    def vote(self, code: str, place: int, choices: Mapping[str, str], seconds: float) -> bool:
        """Keep the answers to one trial, all or none; they are on the disk when this returns.

        :param choices: dimension to one of the design's choices (of a pair ``"a"``, left, ``"b"``, right, or ``"tie"``;
            of a single video ``"1"`` to ``"5"``), for every question of the plan.
        :param seconds: how long the rater took.
        :returns: False if the trial had been answered before (a second click, a second window): the first answer stays.
        :raises DataError: no such rater or trial, a question without answer, or an answer that is none.
        """
        possible = self.plan.design.choices
        if set(choices) != set(self.plan.questions) or not set(choices.values()) <= set(possible):
            raise DataError(
                f"vote of {code}: {dict(choices)}; expected one of {', '.join(possible)} for each of "
                f"{', '.join(self.plan.questions)}"
            )
        if not 0 <= seconds < float("inf"):
            raise DataError(f"vote of {code}: took {seconds} s; expected a number from 0")
        with self._write() as db:
            if not db.execute("SELECT 1 FROM trials WHERE rater = ? AND place = ?", (code, place)).fetchone():
                raise DataError(f"vote of {code}: there is no such rater, or no trial {place}")
            if db.execute("SELECT 1 FROM votes WHERE rater = ? AND place = ?", (code, place)).fetchone():
                return False
            now = _now()
            rows = [(code, place, dimension, choice, seconds, now) for dimension, choice in choices.items()]
            db.executemany("INSERT INTO votes VALUES (?, ?, ?, ?, ?, ?)", rows)
        return True

    def withdraw(self, code: str) -> None:
        """Delete a rater with all votes; the next rater gets the place in the design.

        :raises DataError: nobody has this code.
        """
        found = self.progress(code)
        if found is None:
            raise DataError(f"{self.path}: nobody has the code {code!r}; nothing was deleted")
        with self._write() as db:
            for table, column in (("votes", "rater"), ("trials", "rater"), ("raters", "code")):
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (found.code,))

    def raters(self) -> list[str]:
        """Codes in the order of the design."""
        with self._open() as db:
            return [code for (code,) in db.execute("SELECT code FROM raters ORDER BY number")]

    def votes(self) -> list[Vote]:
        """All answers, checks among them, by rater and place."""
        with self._open() as db:
            rows = db.execute(
                "SELECT rater, place, kind, subject, shown_left, shown_right, expected, dimension, choice, seconds, "
                "votes.time FROM votes JOIN trials USING (rater, place) JOIN raters ON code = rater "
                "ORDER BY number, place, votes.rowid"
            ).fetchall()
        return [Vote(row[0], row[1], Trial(*row[2:7]), *row[7:]) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each use: nothing is shared between threads or left open."""
        db = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)
        try:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
            db.execute("PRAGMA secure_delete = ON")  # what a rater withdraws is overwritten
            yield db
        finally:
            db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: reads in it see what it writes upon; nobody writes between."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
