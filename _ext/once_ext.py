"""What Sphinx would do again for every reference is done once.

For each reference to a numbered figure, Sphinx reads the whole page that the figure is
on; for each citation, pybtex reads what every installed package offers. Together that
was more than half of a build.
"""

from __future__ import annotations

from functools import cache, cached_property

import pybtex.plugin
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.environment import BuildEnvironment


class Library:
    """Sphinx's environment, which keeps the pages that it has read."""

    def __init__(self, environment: BuildEnvironment) -> None:
        self.environment = environment
        self.get_doctree = cache(environment.get_doctree)

    def __getattr__(self, name: str):
        return getattr(self.environment, name)


class NumberedDomain(StandardDomain):
    """The standard domain, which only looks at the pages of its references."""

    @cached_property
    def library(self) -> Library:
        return Library(self.env)

    def resolve_xref(self, env: BuildEnvironment, *reference) -> nodes.Element | None:
        return super().resolve_xref(self.library, *reference)


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_domain(NumberedDomain, override=True)
    pybtex.plugin.entry_points = cache(pybtex.plugin.entry_points)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
