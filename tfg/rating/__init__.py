"""Ask people: a study in which raters compare pairs of talking-face videos, or rate single ones, in a browser.

    study = make_study("videos/", "study/", contact="Dr Lee, room 12")   # videos/METHOD/SUBJECT.mp4
    start(study)                                                          # the page, served by Voila
    export_votes(study.store, "votes.csv")                                # for tfg.study

``tfg study serve videos/`` does the first two. What is kept of a rater is a random code and the answers.
"""

from __future__ import annotations

from tfg.rating.design import Design, StudyDesign, Trial
from tfg.rating.export import RaterSummary, StudySummary, export_votes, summarise
from tfg.rating.folder import StudyFolder, find_videos, make_study
from tfg.rating.page import RatingPage, in_voila
from tfg.rating.serve import start
from tfg.rating.single import SingleDesign
from tfg.rating.store import Plan, Progress, Vote, VoteStore

__all__ = [
    "Design",
    "Plan",
    "Progress",
    "RaterSummary",
    "RatingPage",
    "SingleDesign",
    "StudyDesign",
    "StudyFolder",
    "StudySummary",
    "Trial",
    "Vote",
    "VoteStore",
    "export_votes",
    "find_videos",
    "in_voila",
    "make_study",
    "start",
    "summarise",
]
