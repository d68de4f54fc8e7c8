"""The rating page: a widget that shows one screen after the other and keeps each answer before it goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module, resources
from typing import Any

from tfg.errors import DataError
from tfg.rating.design import Trial
from tfg.rating.folder import StudyFolder
from tfg.rating.single import SCALE

_LABELS: Mapping[str, Mapping[str, str]] = {  # of the answers, in the order on the screen
    "pair": {"a": "Left", "tie": "No difference", "b": "Right"},
    "single": SCALE,
}
_NAMES = {"pair": ("Left", "Right"), "single": ("Video",)}  # of the videos on a screen
_THANKS = """Your answers are saved. You may close this page.

If you want them deleted, give your code to {contact}."""


class RatingPage:
    """One rater's session, from consent to thanks.

    The browser sends ``{"type": "consent"}``, ``{"type": "resume", "code": ...}`` or ``{"type": "vote", "place": ...,
    "choices": ..., "seconds": ...}``; each is answered by a new :attr:`state`, which says what is on the screen.

    :param study: whose pairs or single videos are shown and whose file the answers go to.
    :param videos: address of the study's videos as the browser sees it, where a server gives them out. Without it they
        are sent through the notebook's connection, which suits short ones.
    """

    def __init__(self, study: StudyFolder, videos: str | None = None) -> None:
        self.study, self._videos = study, videos
        self._turn = 0
        self.state: dict[str, Any] = {}
        self._listener: Callable[[dict[str, Any]], None] = lambda state: None
        self._show("welcome", title=study.plan.title, consent=study.plan.consent)

    def widget(self) -> Any:
        """The page as an anywidget; as the last value of a cell it shows itself.

        :raises DataError: anywidget is not installed.
        """
        made = _widget_class()(state=self.state)
        self._listener = lambda state: setattr(made, "state", state)
        made.on_msg(lambda _, message, __: self.receive(message))
        return made

    def receive(self, message: dict[str, Any]) -> None:
        """Do what the rater asks for and show the next screen. What is refused is said on the screen."""
        try:
            if message["type"] == "consent":
                self._go_on(self.study.store.register())
            elif message["type"] == "resume":
                self._go_on(message["code"])
            else:
                # A second click or window: the first answer stays, and the page goes on from there
                code = self.state.get("code", "")
                self.study.store.vote(code, message["place"], message["choices"], message["seconds"])
                self._go_on(code)
        except DataError as error:
            self._show(**self.state | {"problem": str(error)})

    def _go_on(self, code: str) -> None:
        at = self.study.store.progress(code)
        if at is None:
            raise DataError(f"Nobody has the code {code!r} here. Check it, or begin anew above.")
        if at.trial is None:
            self._show("done", code=at.code, text=_THANKS.format(contact=self.study.plan.contact))
            return
        kind = self.study.plan.design.kind
        self._show(
            "trial",
            kind=kind, names=list(_NAMES[kind]), choices=list(map(list, _LABELS[kind].items())),
            code=at.code, done=at.done, total=at.total, place=at.place, questions=dict(self.study.plan.questions),
            sources=[self._source(at.trial.subject, method) for method in at.trial.shown],
            instruction=_instruction(kind, at.trial),
        )  # fmt: skip

    def _source(self, subject: str, method: str) -> str | bytes:
        path = self.study.video(method, subject)
        return f"{self._videos}/{path.name}" if self._videos else path.read_bytes()

    def _show(self, screen: str, problem: str = "", **content: Any) -> None:
        self._turn += 1
        self.state = {**content, "screen": screen, "problem": problem, "turn": self._turn}  # a new turn: always drawn
        self._listener(self.state)


def in_voila() -> bool:
    """Whether this Python runs a page of Voila, and not a notebook or a build of the book."""
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila")


def _instruction(kind: str, trial: Trial) -> str:
    if trial.kind != "instructed":
        return ""
    videos = "both videos (they are the same)" if kind == "pair" else "the video"
    return (
        f"This one only checks that the page is being read. Play {videos}, then answer "
        f"“{_LABELS[kind][trial.expected]}” to every question."
    )


def _widget_class() -> Any:
    try:
        anywidget, traitlets = import_module("anywidget"), import_module("traitlets")
    except ImportError as error:
        raise DataError("the rating page needs anywidget, which is not installed: pip install 'tfg[rating]'") from error
    assets = resources.files("tfg") / "assets" / "rating"

    class RatingWidget(anywidget.AnyWidget):  # type: ignore[name-defined]
        _esm = (assets / "page.js").read_text(encoding="utf-8")
        _css = (assets / "page.css").read_text(encoding="utf-8")
        state = traitlets.Dict().tag(sync=True)

    return RatingWidget
