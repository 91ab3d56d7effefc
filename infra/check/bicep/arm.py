"""A deployment as a template of Azure Resource Manager, with every value in place, for tools that read only those."""

from __future__ import annotations

from .azd import Up
from .evaluate import Made

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


def full_name(made: Made) -> str:
    """With the names of its parents, as a template has it."""
    parts = made.id.rpartition("/providers/")[2].split("/")
    return "/".join(parts[2::2]) if len(parts) > 2 else made.name


def template(up: Up) -> dict:
    """Without Entra ID, which no such template knows."""
    return {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "resources": [
            {**{key: value for key, value in made.body.items() if key != "::"}, "name": full_name(made)}
            | {"type": made.type, "apiVersion": made.declared.version}
            for made in up.world.made
            if not made.type.startswith("Microsoft.Graph/")
        ],
    }
