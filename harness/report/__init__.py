"""What a person reads after a run: a page, a text, and what CI systems take. Everything but ``files`` is pure."""
