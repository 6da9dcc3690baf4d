"""Ten reads to four writes and a delete: the user that most runs want."""

from typing import ClassVar

from loadtests.kv.run import install
from loadtests.kv.user import KvUser

install()


class MixedUser(KvUser):
    """Of all that a directory run starts, four in six."""

    weight = 4
    tasks: ClassVar = {KvUser.get: 10, KvUser.set: 4, KvUser.delete: 1}
