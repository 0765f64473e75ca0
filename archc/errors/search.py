"""What can be wrong with a search."""

from __future__ import annotations

from archc.diagnostics import Diagnostic


class UnknownSampler(Diagnostic):
    """A sampler that there is none of."""

    title = "there is no sampler `{sampler}`"
    help = "{hint}"

    sampler: str
    hint: str


class OneObjective(Diagnostic):
    """Several objectives for a sampler that takes one."""

    title = "the sampler `{sampler}` takes one objective, and there are {objectives}"
    help = "use `tpe`, `gp` or `nsga2`"

    sampler: str
    objectives: int
