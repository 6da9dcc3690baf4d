"""All mutants of our node by name: what the testbed must be able to find."""

from __future__ import annotations

from tests.zoo.consensus import CONSENSUS
from tests.zoo.serving import SERVING
from tests.zoo.storage import STORAGE

MUTANTS = {mutant.name: mutant for mutant in (*STORAGE, *CONSENSUS, *SERVING)}
