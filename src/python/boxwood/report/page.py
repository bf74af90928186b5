"""A page that shows a run: pictures, tables, and the commands that repeat it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from boxwood.io.atomic import atomic_write, write_text


@dataclass(frozen=True)
class Picture:
    """An image file and what it shows."""

    path: Path
    caption: str = ""


@dataclass(frozen=True)
class JobEntry:
    """One job, for the table of jobs.

    Attributes
    ----------
    name : str
    folder : str
    seconds : float
        Wall clock.
    command : str
        What to type to do it again.
    settings : dict
    files : sequence of str
    summary : str
    """

    name: str
    folder: str
    seconds: float
    command: str
    settings: Mapping[str, object] = field(default_factory=dict)
    files: Sequence[str] = ()
    summary: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: text, pictures beside one another, a table, jobs; each may be missing.

    Attributes
    ----------
    title, text : str
    pictures : sequence of Picture
    columns : int
        Pictures in a row, where the window is wide enough.
    header, rows : sequences
        A table.
    jobs : sequence of JobEntry
    """

    title: str
    text: str = ""
    pictures: Sequence[Picture] = ()
    columns: int = 2
    header: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()
    jobs: Sequence[JobEntry] = ()


def write_report(
    directory: str | os.PathLike[str], sections: Sequence[Section], *, title: str = "Report", lead: str = ""
) -> Path:
    """Write `directory`/index.html, which needs nothing but the pictures beside it.

    Pictures that lie elsewhere are copied into the folder, so that it can be moved; those that do not
    exist are named in the page. Returns the path of the page.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    links = "".join(f'<a href="#s{i}">{escape(s.title)}</a>' for i, s in enumerate(sections))
    body = "".join(_section(i, section, folder) for i, section in enumerate(sections))
    lead = f"<p>{escape(lead)}</p>" if lead else ""
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style></head>\n'
        f"<body><h1>{escape(title)}</h1>{lead}<nav>{links}</nav>\n{body}</body></html>\n"
    )
    path = folder / "index.html"
    write_text(path, page)
    return path


def _section(number: int, section: Section, folder: Path) -> str:
    parts = [f'<section id="s{number}"><h2>{escape(section.title)}</h2>']
    if section.text:
        parts.append(f"<p>{escape(section.text)}</p>")
    if section.pictures:
        figures = "".join(_figure(picture, folder) for picture in section.pictures)
        columns = min(section.columns, len(section.pictures))
        parts.append(f'<div class="pictures" style="--columns: {columns}">{figures}</div>')
    if section.rows:
        parts.append(_table(section.header, section.rows))
    if section.jobs:
        parts.append("".join(_job(job) for job in section.jobs))
    return "\n".join([*parts, "</section>\n"])


def _figure(picture: Picture, folder: Path) -> str:
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>"
    if not picture.path.is_file():
        return f'<figure class="missing">{escape(picture.path.name)} was not drawn{caption}</figure>'
    name = escape(_beside(picture.path, folder), quote=True)
    image = f'<img src="{name}" alt="{escape(picture.caption, quote=True)}" loading="lazy">'
    return f'<figure><a href="{name}">{image}</a>{caption}</figure>'


def _beside(picture: Path, folder: Path) -> str:
    """Name of a picture relative to the page; copied there, under a name of its own, if it lies elsewhere."""
    source, home = picture.resolve(), folder.resolve()
    if source.is_relative_to(home):
        return source.relative_to(home).as_posix()
    target = home / f"{source.parent.name}_{source.name}"
    with source.open("rb") as picture_bytes, atomic_write(target) as file:
        shutil.copyfileobj(picture_bytes, file)
    return target.name


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(v))}</td>" for v in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _job(job: JobEntry) -> str:
    parts = [
        f'<article><h3>{escape(job.name)} <span class="time">{_duration(job.seconds)}</span></h3>',
        f"<p>{escape(job.summary)}</p>" if job.summary else "",
        f"<pre>{escape(job.command)}</pre>" if job.command else "",
    ]
    if job.files:
        files = "".join(f"<li>{escape(str(name))}</li>" for name in job.files)
        parts.append(f"<p>Files in <code>{escape(job.folder)}</code></p><ul>{files}</ul>")
    if job.settings:
        table = _table(("setting", "value"), list(job.settings.items()))
        parts.append(f"<details><summary>settings</summary>{table}</details>")
    return "".join([*parts, "</article>"])


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --faint: #6b7280; --line: #e3e6ea; --accent: #1f6f8b; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
       max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0; }
nav { border-bottom: 1px solid var(--line); padding: .4rem 0; }
nav a { color: var(--accent); margin-right: 1.1rem; text-decoration: none; }
.pictures { display: grid; gap: 1rem; align-items: start;
            grid-template-columns: repeat(var(--columns), 1fr); }
@media (max-width: 700px) { .pictures { grid-template-columns: 1fr; } }
figure { margin: 0; }
figure img { width: 100%; border: 1px solid var(--line); border-radius: 4px; display: block; }
figure.missing { color: var(--faint); border: 1px dashed var(--line); padding: 1rem; }
figcaption { color: var(--faint); font-size: .85rem; margin-top: .25rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
         padding: .25rem .9rem .25rem 0; }
article { border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem; margin: .8rem 0; }
article p { margin: .3rem 0; }
article ul { margin: .2rem 0 .5rem; padding-left: 1.2rem; font-size: .87rem; }
.time { color: var(--faint); font-weight: normal; font-size: .87rem; margin-left: .5rem; }
pre { background: #f5f7f9; border-radius: 4px; padding: .6rem .8rem; font-size: .83rem;
      white-space: pre-wrap; }
"""
