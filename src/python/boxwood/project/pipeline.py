"""default_pipeline.star: which jobs a project has, and what they hand to one another."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from boxwood.errors import FileFormatError
from boxwood.io.star import read_star, write_star
from boxwood.project.nodes import NODE_KINDS

GENERAL, PROCESSES, NODES = "pipeline_general", "pipeline_processes", "pipeline_nodes"
INPUTS, OUTPUTS = "pipeline_input_edges", "pipeline_output_edges"
_ORDER = (GENERAL, PROCESSES, NODES, INPUTS, OUTPUTS)
_NAME, _ALIAS = "rlnPipeLineProcessName", "rlnPipeLineProcessAlias"
_NODE, _PROCESS = "rlnPipeLineNodeName", "rlnPipeLineEdgeProcess"
_COUNTER = "rlnPipeLineJobCounter"
# RELION 3 numbers them in this order, RELION 4 and 5 use the words.
STATUSES = ("Running", "Scheduled", "Succeeded", "Failed", "Aborted")


@dataclass(frozen=True)
class PipelineJob:
    """A job as the pipeline knows it: "AutoPick/job006/", "AutoPick/first_try/" or "", one of STATUSES."""

    name: str
    alias: str
    status: str
    inputs: list[str]
    outputs: list[str]


@dataclass
class Pipeline:
    """The tables of a pipeline file, in the dialect they were found in.

    Attributes
    ----------
    generation : int
        3, 4 or 5: the RELION that wrote the file.
    versioned : bool
        Whether the file says its version; RELION 3.0's do not.
    tables : dict
        As read; tables, columns and rows that are not ours are written back unchanged.
    """

    generation: int = 3
    tables: dict[str, Any] = field(default_factory=lambda: {GENERAL: {_COUNTER: 1}})
    versioned: bool = True

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Pipeline:
        """Read a pipeline file.

        Raises
        ------
        FileFormatError
        """
        tables = dict(read_star(path))
        if not isinstance(tables.get(GENERAL), dict) or _COUNTER not in tables[GENERAL]:
            raise FileFormatError(
                f"{path} has no table data_{GENERAL} with _{_COUNTER}, so it is no pipeline of RELION; "
                "restore it from the default_pipeline.star in the newest job folder"
            )
        with open(path, encoding="utf-8", errors="replace") as file:
            head = file.read(200)
        return cls(_generation(head, tables), tables, "# version" in head)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write in the dialect of `generation`, whole or not at all."""
        order = [*(name for name in _ORDER if name in self.tables), *(set(self.tables) - set(_ORDER))]
        tables = {n: t for n in order if isinstance(t := self.tables[n], dict) or len(t)}
        write_star(path, tables, dialect=self.dialect if self.versioned else "3.0")

    @property
    def relion(self) -> str:
        """Whose project it is: "0" RELION 3.0's, "1" 3.1's, "4" or "5"."""
        return str(self.generation) if self.generation > 3 else "1" if self.versioned else "0"

    @property
    def dialect(self) -> str:
        """The dialect of STAR files that this project's RELION writes."""
        return "5" if self.generation == 5 else "3.1"

    @property
    def counter(self) -> int:
        """Number of the next job."""
        return int(self.tables[GENERAL][_COUNTER])

    @counter.setter
    def counter(self, number: int) -> None:
        self.tables[GENERAL] = {**self.tables[GENERAL], _COUNTER: number}

    def process(self, name: str) -> dict[str, Any] | None:
        """Return the row of the job "Type/jobNNN/", or None."""
        table = self._table(PROCESSES)
        rows = table[table[_NAME].astype(str) == name]
        return dict(rows.iloc[0]) if len(rows) else None

    def jobs(self) -> list[PipelineJob]:
        """All jobs, in the order of the file."""
        inputs = self._table(INPUTS).groupby(_PROCESS)["rlnPipeLineEdgeFromNode"].agg(list)
        outputs = self._table(OUTPUTS).groupby(_PROCESS)["rlnPipeLineEdgeToNode"].agg(list)
        table = self._table(PROCESSES)
        rows = zip(table[_NAME], table[_ALIAS], table[self._process_columns()[1]], strict=True)
        return [
            PipelineJob(
                str(name),
                "" if str(alias) == "None" else str(alias),
                STATUSES[int(status)] if self.generation == 3 else str(status),
                list(inputs.get(name, [])),
                list(outputs.get(name, [])),
            )
            for name, alias, status in rows
        ]

    def dependents(self, names: Collection[str]) -> list[str]:
        """These jobs and all that read, directly or not, what they made; in the order of the file."""
        found = set(names)
        made = {node: job.name for job in self.jobs() for node in job.outputs}
        jobs = self.jobs()
        while more := {j.name for j in jobs if {made.get(node) for node in j.inputs} & found} - found:
            found |= more
        return [job.name for job in jobs if job.name in found]

    def remove(self, names: Collection[str]) -> None:
        """Take out jobs, the files they made, and what leads to and from both."""
        made = self._table(OUTPUTS)
        gone = set(made.loc[made[_PROCESS].isin(names), "rlnPipeLineEdgeToNode"])
        for name, column, out in (
            (PROCESSES, _NAME, names),
            (NODES, _NODE, gone),
            (INPUTS, _PROCESS, names),
            (INPUTS, "rlnPipeLineEdgeFromNode", gone),
            (OUTPUTS, _PROCESS, names),
        ):
            table = self._table(name)
            self.tables[name] = table[~table[column].isin(out)]

    def absorb(self, other: Pipeline) -> None:
        """Take in the jobs, files and edges of another pipeline of the same generation."""
        for name in (PROCESSES, NODES, INPUTS, OUTPUTS):
            for row in other._table(name).to_dict("records"):
                self._append_once(name, row)

    def add_process(self, name: str, number: int, label: str, status: str = "Running") -> None:
        """Append a job; it must not be there yet."""
        kind = number if self.generation == 3 else label
        kind_column, status_column = self._process_columns()
        self._append(
            PROCESSES, {_NAME: name, _ALIAS: "None", kind_column: kind, status_column: self._status(status)}
        )

    def set_status(self, name: str, status: str) -> None:
        self._set(name, self._process_columns()[1], self._status(status))

    def set_alias(self, name: str, alias: str) -> None:
        """Set the alias, as "Type/alias/"."""
        self._set(name, _ALIAS, alias)

    def aliases(self) -> list[str]:
        return [str(alias) for alias in self._table(PROCESSES)[_ALIAS]]

    def running(self) -> list[str]:
        """Jobs that the file says are running."""
        table = self._table(PROCESSES)
        return list(table.loc[table[self._process_columns()[1]] == self._status("Running"), _NAME])

    def add_input(self, process: str, node: str, kind: str) -> bool:
        """Note that a job reads a file. True if nobody has known of the file."""
        new = self.type_of(node) is None
        known = self._add_node(node, kind)
        self._append_once(INPUTS, {"rlnPipeLineEdgeFromNode": node, _PROCESS: process})
        return new and known

    def add_output(self, process: str, node: str, kind: str) -> bool:
        """Note that a job wrote a file. False if this RELION has no such nodes."""
        if not self._add_node(node, kind):
            return False
        self._append_once(OUTPUTS, {_PROCESS: process, "rlnPipeLineEdgeToNode": node})
        return True

    def outputs_of(self, process: str, kind: str) -> list[str]:
        """Return the files of one kind that a job made; whatever labels add after their first word."""
        edges, nodes = self._table(OUTPUTS), self._table(NODES)
        mine = set(edges.loc[edges[_PROCESS] == process, "rlnPipeLineEdgeToNode"])
        wanted = str(self.node_type(kind)).partition(".")[0]
        return [
            n
            for n, t in zip(nodes[_NODE], nodes[nodes.columns[1]], strict=True)
            if n in mine and str(t).partition(".")[0] == wanted
        ]

    def type_of(self, node: str) -> int | str | None:
        """Return the number or label of a file; None if there is no such node."""
        nodes = self._table(NODES)
        found = nodes.loc[nodes[_NODE] == node, nodes.columns[1]]
        return found.iloc[0] if len(found) else None

    def node_type(self, kind: str) -> int | str | None:
        """Return the number or label of a kind of node; None if this RELION has no such nodes."""
        known = NODE_KINDS[kind]
        return {3: known.number, 4: known.label4, 5: known.label5}[self.generation]

    def only(self, process: str) -> Pipeline:
        """Return the part about one job, as RELION keeps it in job_pipeline.star."""
        inputs, outputs = self._table(INPUTS), self._table(OUTPUTS)
        inputs = inputs[inputs[_PROCESS] == process]
        outputs = outputs[outputs[_PROCESS] == process]
        nodes = self._table(NODES)
        mine = {*inputs["rlnPipeLineEdgeFromNode"], *outputs["rlnPipeLineEdgeToNode"]}
        processes = self._table(PROCESSES)
        tables = {
            GENERAL: {_COUNTER: 2},
            PROCESSES: processes[processes[_NAME] == process],
            NODES: nodes[nodes[_NODE].isin(mine)],
            INPUTS: inputs,
            OUTPUTS: outputs,
        }
        return Pipeline(self.generation, tables, self.versioned)

    def _status(self, status: str) -> int | str:
        return STATUSES.index(status) if self.generation == 3 else status

    def _process_columns(self) -> tuple[str, str]:
        end = "" if self.generation == 3 else "Label"
        return "rlnPipeLineProcessType" + end, "rlnPipeLineProcessStatus" + end

    def _add_node(self, node: str, kind: str) -> bool:
        known = self.node_type(kind)
        if known is None:
            return False
        nodes = self._table(NODES)
        if node not in set(nodes[_NODE]):
            row: dict[str, Any] = {_NODE: node, nodes.columns[1]: known}
            if self.generation == 5:
                row["rlnPipeLineNodeTypeLabelDepth"] = 1
            self._append(NODES, row)
        return True

    def _append_once(self, name: str, row: dict[str, Any]) -> None:
        table = self._table(name)
        if not (table[list(row)] == list(row.values())).all(axis=1).any():
            self._append(name, row)

    def _append(self, name: str, row: dict[str, Any]) -> None:
        table = self._table(name)
        new = pd.DataFrame([row]).reindex(columns=table.columns)
        self.tables[name] = pd.concat([table, new], ignore_index=True) if len(table) else new

    def _set(self, name: str, column: str, value: Any) -> None:
        table = self._table(PROCESSES).copy()
        table[column] = [
            value if n == name else old for n, old in zip(table[_NAME], table[column], strict=True)
        ]
        self.tables[PROCESSES] = table

    def _table(self, name: str) -> pd.DataFrame:
        found = self.tables.get(name)
        if found is None or len(found) == 0:  # RELION leaves empty tables out
            found = pd.DataFrame(columns=self._columns(name), dtype=object)
        elif isinstance(found, dict):  # one row, written as a list
            found = pd.DataFrame([found])
        return found

    def _columns(self, name: str) -> list[str]:
        end = "" if self.generation == 3 else "Label"
        depth = ["rlnPipeLineNodeTypeLabelDepth"] if self.generation == 5 else []
        return {
            PROCESSES: [_NAME, _ALIAS, *self._process_columns()],
            NODES: [_NODE, "rlnPipeLineNodeType" + end, *depth],
            INPUTS: ["rlnPipeLineEdgeFromNode", _PROCESS],
            OUTPUTS: [_PROCESS, "rlnPipeLineEdgeToNode"],
        }[name]


def _generation(head: str, tables: dict[str, Any]) -> int:
    """3 if types are numbers; else RELION 5 says so in its comment, and RELION 4 writes 30001."""
    if not any(column.endswith("TypeLabel") for table in tables.values() for column in table):
        return 3
    return 5 if "# version 5" in head else 4
