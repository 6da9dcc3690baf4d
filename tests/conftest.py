"""What every test shares: hypothesis without a clock, repeatable where CI judges."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: these machines are noisy, and speed belongs into benchmarks. A failure prints how to repeat it.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
