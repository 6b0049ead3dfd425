"""A folder of drops: what is complete, what is published, where it goes, and what happens when nothing works."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from producers import drop_folder
from producers.drop_folder import Drop, Settling
from producers.file_publication import FileFault
from producers.publication import Ending, Problem, Summary
from producers.watching import Watcher
from sluice.errors import SluiceError


def summary(published: int = 1, refused: int = 0, unconfirmed: int = 0, stopped: str | None = None) -> Summary:
    return Summary(
        read=published + refused + unconfirmed,
        valid=published,
        published=published,
        refused=refused,
        failed=0,
        unsent=0,
        unconfirmed=unconfirmed,
        seconds=0.1,
        stopped=stopped,
        dry_run=False,
        errors=tuple(Problem(line, "`email` has to be text.") for line in range(refused)),
    )


Answer = tuple[Summary, Ending] | Exception | Callable[[Drop], object]

READ: Answer = (summary(), Ending.READ)


@dataclass
class Desk:
    """A watched folder, whose files are published as `answers` say, one after the other; without any, all is well."""

    folder: Path
    answers: list[Answer] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    pauses: int = 3
    """After so many Ctrl-C is pressed."""
    while_pausing: Callable[[], None] = lambda: None

    def drop(self, name: str, content: str = "x", age: int = 0) -> None:
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        os.utime(path, (1_000_000 - age, 1_000_000 - age))

    def watch(self) -> None:
        Watcher(self.folder, self.publish, Settling(0), self.said.append, self.pause).run()

    def publish(self, drop: Drop) -> tuple[Summary, Ending]:
        self.published.append(drop.path.name)
        answer = self.answers.pop(0) if self.answers else READ
        match answer:
            case Exception():
                raise answer
            case tuple():
                return answer
            case _:
                answer(drop)
                return summary(), Ending.READ

    def pause(self, _: float) -> None:
        self.pauses -= 1
        self.while_pausing()
        if not self.pauses:
            raise KeyboardInterrupt

    def left(self, place: str = ".") -> list[str]:
        return sorted(path.name for path in (self.folder / place).iterdir() if path.is_file())

    def report(self, name: str) -> dict[str, object]:
        found = json.loads((self.folder / f"{name}.report.json").read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with drop_folder.taken(tmp_path):
        yield Desk(tmp_path)


def test_what_is_complete_is_published_oldest_first(desk: Desk) -> None:
    for name, age in (("b.csv", 10), ("c.csv", 20), ("a.csv", 10)):
        desk.drop(name, age=age)
    desk.watch()
    assert desk.published == ["c.csv", "a.csv", "b.csv"]
    assert desk.left("done") == sorted(f"{name}.csv{end}" for name in "abc" for end in ("", ".report.json"))
    assert desk.said[0].startswith("Watching ")
    assert desk.said[-1] == "Ended. Nothing is left."


def test_unfinished_names_links_and_folders_are_left_alone(desk: Desk) -> None:
    for name in ("a.csv.part", "b.TMP", ".c.csv"):
        desk.drop(name)
    (desk.folder / "d.csv").symlink_to(desk.folder / "a.csv.part")
    (desk.folder / "e.csv").mkdir()
    desk.watch()
    assert desk.published == []


def test_a_file_is_complete_when_it_has_not_changed_for_so_long(tmp_path: Path) -> None:
    settling = Settling(5)
    early = Drop(tmp_path / "a", 1, 100, 7)
    grown = Drop(tmp_path / "a", 2, 101, 7)
    assert settling.complete([early], 0) == []
    assert settling.complete([grown], 4) == []
    assert settling.complete([grown], 8.9) == []
    assert settling.complete([grown], 9) == [grown]
    assert settling.complete([], 10) == []
    assert settling.complete([grown], 11) == []


def test_a_file_with_refused_rows_goes_to_refused_with_its_reasons(desk: Desk) -> None:
    desk.drop("a.csv")
    desk.answers = [(summary(2, 1), Ending.READ)]
    desk.watch()
    report = desk.report("refused/a.csv")
    assert (report["file"], report["bytes"], report["problem"]) == ("a.csv", 1, None)
    assert report["summary"] == json.loads(json.dumps(summary(2, 1).as_json()))


def test_a_file_that_cannot_be_read_at_all_goes_to_refused_with_the_reason(desk: Desk) -> None:
    desk.drop("a.csv", age=1)
    desk.drop("b.csv")
    desk.answers = [FileFault("The first line is no CSV header.")]
    desk.watch()
    assert desk.report("refused/a.csv")["problem"] == "The first line is no CSV header."
    assert "b.csv" in desk.left("done")


def test_the_same_name_dropped_twice_overwrites_nothing(desk: Desk) -> None:
    desk.drop("a.csv", "1")
    desk.while_pausing = lambda: desk.drop("a.csv", "2") if desk.pauses == 2 else None
    desk.watch()
    assert (desk.folder / "done/a.csv").read_text() == "1"
    assert (desk.folder / "done/a.2.csv").read_text() == "2"
    assert desk.report("done/a.2.csv")["file"] == "a.csv"


def test_a_broker_that_is_away_is_waited_for_and_the_file_published_again(desk: Desk) -> None:
    desk.drop("a.csv")
    away = SluiceError("Cannot reach the broker.")
    broken = (summary(1, unconfirmed=1, stopped="the broker did not acknowledge it within 30 s"), Ending.TROUBLE)
    unanswered = (summary(1, unconfirmed=1), Ending.READ)
    desk.answers = [away, away, broken, unanswered]
    desk.pauses = 5
    desk.watch()
    assert desk.published == ["a.csv"] * 5
    assert "a.csv" in desk.left("done")
    assert desk.said[1:4] == [
        "a.csv waits: Cannot reach the broker.",
        "a.csv waits: the broker did not acknowledge it within 30 s; it is published again from its beginning.",
        "a.csv waits: not every row was answered for; it is published again from its beginning.",
    ]


def test_ctrl_c_leaves_what_is_not_done_and_says_so(desk: Desk) -> None:
    for name in "abcde":
        desk.drop(f"{name}.csv")
    desk.answers = [READ, (summary(1, stopped="interrupted"), Ending.INTERRUPTED)]
    desk.watch()
    assert desk.published == ["a.csv", "b.csv"]
    assert desk.said[-1] == f"Ended. Left in {desk.folder}: 4, b.csv, c.csv, d.csv, …."
    assert "b.csv" not in desk.left("done")


def test_a_file_that_vanishes_is_said_and_the_next_one_published(desk: Desk) -> None:
    desk.drop("a.csv", age=1)
    desk.drop("b.csv")
    desk.answers = [lambda drop: drop.path.unlink()]
    desk.watch()
    assert desk.said[1].startswith("a.csv was changed or taken away")
    assert desk.left("done") == ["b.csv", "b.csv.report.json"]


def test_a_file_that_grew_while_it_was_read_is_published_again(desk: Desk) -> None:
    desk.drop("a.csv")
    desk.answers = [lambda drop: drop.path.write_text("more", encoding="utf-8")]
    desk.watch()
    assert desk.published == ["a.csv", "a.csv"]
    assert (desk.folder / "done/a.csv").read_text() == "more"


def test_a_full_disk_is_waited_for_and_nothing_is_published_twice(desk: Desk) -> None:
    desk.drop("a.csv")
    unfinished = desk.folder / "done/.a.csv.report.json.tmp"
    unfinished.symlink_to("/dev/full")
    desk.while_pausing = lambda: unfinished.unlink(missing_ok=True)
    desk.watch()
    assert desk.published == ["a.csv"]
    assert "a.csv" in desk.left("done")
    assert desk.said[1] == f"a.csv was published and cannot be moved to done: {os.strerror(errno.ENOSPC)}."


def test_a_disk_that_cannot_be_read_is_waited_for(desk: Desk) -> None:
    desk.drop("a.csv")
    desk.answers = [OSError(errno.EIO, os.strerror(errno.EIO))]
    desk.watch()
    assert desk.published == ["a.csv", "a.csv"]
    assert desk.said[1] == "a.csv waits: Input/output error."


def test_a_second_watcher_on_the_same_folder_ends_with_a_sentence(desk: Desk) -> None:
    with pytest.raises(SluiceError, match="Another process watches"), drop_folder.taken(desk.folder):
        pass


def test_a_folder_in_which_nothing_can_be_moved_is_told(tmp_path: Path) -> None:
    (tmp_path / "done").write_text("in the way", encoding="utf-8")
    with pytest.raises(SluiceError, match="Files cannot be moved about in"), drop_folder.taken(tmp_path):
        pass
    with pytest.raises(SluiceError, match="is no folder"), drop_folder.taken(tmp_path / "done"):
        pass


def test_a_report_that_was_left_without_its_file_is_kept(desk: Desk) -> None:
    """What a watcher leaves that was killed between the report and the move."""
    (desk.folder / "done/a.csv.report.json").write_text("{}", encoding="utf-8")
    desk.drop("a.csv")
    desk.watch()
    assert desk.left("done") == ["a.2.csv", "a.2.csv.report.json", "a.csv.report.json"]


def test_a_file_whose_report_was_thrown_away_is_not_overwritten(desk: Desk) -> None:
    (desk.folder / "done/a.csv").write_text("first", encoding="utf-8")
    desk.drop("a.csv")
    desk.watch()
    assert (desk.folder / "done/a.csv").read_text() == "first"


def test_a_name_that_is_no_text_is_filed_away(desk: Desk) -> None:
    (desk.folder / os.fsdecode(b"caf\xe9.csv")).write_text("x", encoding="utf-8")
    desk.answers = [FileFault(os.fsdecode(b"caf\xe9.csv cannot be read."))]
    desk.watch()
    (found,) = [path for path in (desk.folder / "refused").iterdir() if path.suffix == ".json"]
    assert json.loads(found.read_text(encoding="utf-8"))["file"] == "caf�.csv"
