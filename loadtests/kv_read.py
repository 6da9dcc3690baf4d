"""Nineteen reads to a write: caches, configuration."""

from typing import ClassVar

from loadtests.kv.run import install
from loadtests.kv.user import KvUser

install()


class ReadHeavyUser(KvUser):
    """Of all that a directory run starts, one in six."""

    weight = 1
    tasks: ClassVar = {KvUser.get: 19, KvUser.set: 1}
