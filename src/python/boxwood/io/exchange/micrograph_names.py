"""Which micrograph of the project another program means.

Names differ in their folders and suffixes, in what programs put before them (cryoSPARC: 21 digits and ``_``)
and after them (``_patch_aligned_doseweighted``), in links, and in how accents are encoded.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from boxwood.errors import InputError

_IMAGE = re.compile(r"\.(mrcs?|tiff?|png|map|st|eer|dm[34])(\.gz|\.bz2)?$", re.IGNORECASE)
# cryoSPARC numbers what it imports; RELION's and boxwood's pickers add words to names of files.
_PREFIX = re.compile(r"^\d{15,21}_")
_SUFFIXES = re.compile(
    r"_(patch_aligned_doseweighted|patch_aligned|rigid_aligned|autopick|manualpick|extractpick|import|pick|boxes)$"
)


class MicrographNames:
    """Finds micrographs of the project by the names that other programs have for them.

    Parameters
    ----------
    names : sequence of str
        The project's.
    root : path
        Folder that they start from.
    foreign_roots : iterable of path
        Folders that the others may start from: a link there may lead to a micrograph of the project.
    strip_prefix, strip_suffix : str
        What the others begin and end with, besides what is known.
    """

    def __init__(
        self,
        names: Sequence[str],
        root: str | os.PathLike[str] = "",
        *,
        foreign_roots: Iterable[str | os.PathLike[str]] = (),
        strip_prefix: str = "",
        strip_suffix: str = "",
    ) -> None:
        self.names = dict.fromkeys(names)
        self.strip = (strip_prefix, strip_suffix)
        self.foreign_roots = [Path(folder) for folder in foreign_roots]
        self.by_stem: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            self.by_stem[stem(name)].append(name)
        self.by_file = {os.path.realpath(Path(root) / name): name for name in self.names}
        self.taken: dict[str, str] = {}

    def find(self, foreign: str) -> str | None:
        """The project's name for a micrograph, or None if it is not one of the project's.

        Raises
        ------
        InputError
            Several are called like it, or another name has led to the same micrograph.
        """
        found = self._find(foreign)
        if found is None:
            return None
        other = self.taken.setdefault(found, foreign)
        if other != foreign:
            raise InputError(
                f"{other} and {foreign} are both called like micrograph {found}; import them one at a time, "
                "or rename one."
            )
        return found

    def _find(self, foreign: str) -> str | None:
        if foreign in self.names:
            return foreign
        for folder in self.foreign_roots:
            if (folder / foreign).exists():
                linked = self.by_file.get(os.path.realpath(folder / foreign))
                if linked is not None:
                    return linked
        for name in self._variants(foreign):
            if name in self.by_stem:
                return self._nearest(self.by_stem[name], foreign)
        return None

    def _variants(self, foreign: str) -> Iterable[str]:
        """The name's stem, then without what programs put before and after it."""
        name = stem(foreign)
        prefix, suffix = (unicodedata.normalize("NFC", text) for text in self.strip)
        name = name.removeprefix(prefix)
        name = name.removesuffix(suffix) if suffix else name
        yield name
        yield _SUFFIXES.sub("", name)
        yield _PREFIX.sub("", name)
        yield _PREFIX.sub("", _SUFFIXES.sub("", name))

    def _nearest(self, candidates: list[str], foreign: str) -> str:
        """The candidate that shares the most folders with the name, counted from the end."""
        folders = PurePosixPath(foreign).parts[-2::-1]

        def shared(name: str) -> int:
            own = PurePosixPath(name).parts[-2::-1]
            pairs = zip(folders, own, strict=False)
            return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(folders), len(own)))

        ranked = sorted(candidates, key=shared, reverse=True)
        if len(ranked) > 1 and shared(ranked[0]) == shared(ranked[1]):
            raise InputError(
                f"{foreign} may be {ranked[0]} or {ranked[1]}, which are called alike; rename one, or give a "
                "list with one of them."
            )
        return ranked[0]


def stem(name: str) -> str:
    """A file's name without folders and the suffix of images, in composed letters."""
    last = unicodedata.normalize("NFC", PurePosixPath(name).name)
    return _IMAGE.sub("", last)
