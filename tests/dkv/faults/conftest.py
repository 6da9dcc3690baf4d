"""A faulty disk, and what is left of its directory when the power goes."""

import random
import shutil
from types import SimpleNamespace

import pytest

from dkv.faults.disk import DiskFaults
from dkv.faults.points import Points


class PowerLoss(BaseException):
    """The process would be gone here."""


def lose_power():
    raise PowerLoss


@pytest.fixture
def faults():
    """As a ``Faults``, but that it dies by ``PowerLoss`` and that its delays are only written down."""
    slept = []
    points = Points(kill=lose_power)
    return SimpleNamespace(
        points=points, disk=DiskFaults(points, rng=random.Random(5), sleep=slept.append), slept=slept
    )


@pytest.fixture
def after_power_loss(tmp_path_factory):
    """``directory`` → a copy of what is on the real disk: what a process that dies now leaves."""

    def copy(directory):
        image = tmp_path_factory.mktemp("image")
        shutil.copytree(directory, image, dirs_exist_ok=True)
        return image

    return copy


@pytest.fixture(name="PowerLoss")
def power_loss():
    return PowerLoss
