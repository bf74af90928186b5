"""A hook of MkDocs: the page notebook.md from notebook.ipynb, its text and code."""

import json
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

NOTE = "*[This notebook](notebook.ipynb), without its pictures; the tests run it.*\n\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    cells = json.loads((Path(config.docs_dir) / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    parts = [
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell, text in zip(cells, texts, strict=True)
    ]
    parts[0] += "\n\n" + NOTE
    files.append(File.generated(config, "notebook.md", content="\n\n".join(parts)))
    return files
