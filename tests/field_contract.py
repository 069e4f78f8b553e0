"""An import rule that reads the folders: no field of `tasks` imports another, nor does what they share. A new field needs no listing."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

SHARED = ("blocks", "datasets")
"""Parts of `tasks` that every field may import."""


class FieldsAreStrangers(Contract):
    """Every child of `tasks` but the shared ones is a field."""

    type_name = "strangers"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Broken by any direct import from a field or a shared part into another field."""
        children = {name.split(".")[1] for name in graph.modules if name.startswith("tasks.")}
        fields = children - set(SHARED)
        broken = [
            (importer, imported)
            for importer in sorted(name for name in graph.modules if name.startswith("tasks."))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported.startswith("tasks.") and (other := imported.split(".")[1]) in fields and other != importer.split(".")[1]
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """A line an import."""
        for importer, imported in check.metadata["broken"]:
            output.print_error(f"{importer} imports {imported}: fields are strangers; what two of them need belongs into tasks.blocks")
