"""The page: whole, self-contained, and safe whatever the words in it."""

from html.parser import HTMLParser

import numpy as np
import pytest

from boxwood.report import JobEntry, Picture, Section, draw_sheet, write_report

VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """Collects text and links, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.sources += [v for k, v in attributes if k == "src"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def picture(tmp_path):
    images = np.random.default_rng(0).standard_normal((4, 16, 16))
    return draw_sheet(tmp_path / "Extract" / "job002" / "gallery.png", images)


def test_pictures_lie_beside_the_page(tmp_path, picture):
    folder = tmp_path / "report"
    inside = draw_sheet(folder / "inside.png", np.eye(16)[None])
    sections = [Section("Particles", "text", [Picture(picture, "outside"), Picture(inside, "inside")])]
    page = Page(write_report(folder, sections).read_text())
    assert page.sources == ["job002_gallery.png", "inside.png"]
    assert (folder / "job002_gallery.png").read_bytes() == picture.read_bytes()


def test_pictures_that_failed_are_named(tmp_path):
    section = Section("Picks", pictures=[Picture(tmp_path / "picks.png", "picks")])
    page = Page(write_report(tmp_path, [section]).read_text())
    assert "picks.png was not drawn" in page.text
    assert not page.sources


def test_words_cannot_become_markup(tmp_path):
    evil = "<script>alert('x')</script> & \"quotes\""
    job = JobEntry(evil, evil, 61.7, evil, {evil: evil}, [evil], evil)
    section = Section(
        evil, evil, [Picture(tmp_path / "no.png", evil)], header=[evil], rows=[[evil]], jobs=[job]
    )
    text = write_report(tmp_path, [section], title=evil, lead=evil).read_text()
    assert "<script" not in text
    assert Page(text).text.count(evil) >= 12
    assert "1 min 02 s" in text


def test_commands_and_settings_of_jobs_are_shown(tmp_path):
    job = JobEntry(
        "autopick", "AutoPick/job001", 3.25, "boxwood autopick --min-diameter 150", {"lowpass": 20}
    )
    text = Page(write_report(tmp_path, [Section("Jobs", jobs=[job])]).read_text()).text
    for words in ("autopick", "3.2 s", "boxwood autopick --min-diameter 150", "lowpass"):
        assert words in text


def test_a_page_replaces_the_one_before(tmp_path):
    write_report(tmp_path, [], title="first")
    assert "second" in write_report(tmp_path, [], title="second").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]
