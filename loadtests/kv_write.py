"""Nine writes to a read: what costs the cluster most."""

from typing import ClassVar

from loadtests.kv.run import install
from loadtests.kv.user import KvUser

install()


class WriteHeavyUser(KvUser):
    """Of all that a directory run starts, one in six."""

    weight = 1
    tasks: ClassVar = {KvUser.set: 8, KvUser.delete: 1, KvUser.get: 1}
