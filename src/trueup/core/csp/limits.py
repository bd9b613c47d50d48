"""How large a constraint program may be; whatever a model or a client writes stays within this."""

from __future__ import annotations

from dataclasses import dataclass

from trueup.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of everything in a program.

    `depth` is how deep brackets nest, `height` how high an expression's tree is, `nodes` are all its operations
    and operands.
    """

    characters: int = 1_000_000
    name_characters: int = 200
    variables: int = 10_000
    constraints: int = 20_000
    nodes: int = 500_000
    depth: int = 50
    height: int = 150
    span: int = 1_000_000_000
    table_cells: int = 10_000_000

    def hold(self, what: str, amount: int) -> None:
        """Raise BadInput where there is more of something than is allowed."""
        most = getattr(self, what)
        if amount > most:
            raise BadInput(f"the program is too large: {what.replace('_', ' ')} {amount:,}; at most {most:,} is taken")


LIMITS = Limits()
