"""What a node was told: flags > ``DKV_*`` environment > ``--config dkv.toml`` > default, as one frozen value.

Every setting has one name: ``data_dir`` is ``--data-dir``, ``DKV_DATA_DIR`` and ``data_dir = "…"``. A setting
that nobody knows, or that makes no sense, is a ``StartupError`` that says what to write: a node never guesses.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dkv.addresses import Address, parse_address
from dkv.errors import StartupError
from dkv.raft.options import Options

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
WILDCARDS = frozenset({"", "0.0.0.0", "::"})
LOG_LEVELS = ("debug", "info", "warning", "error")
SECRET_BYTES_MIN = 16
"""A shared secret shorter than this is a password, and passwords get guessed."""


REST_DEFAULT = Address("127.0.0.1", 30000)
RAFT_DEFAULT = Address("127.0.0.1", 50000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One node's settings. ``join``: REST addresses of members, for a node whose data directory is empty."""

    id: str
    data_dir: Path
    rest: Address = REST_DEFAULT
    raft: Address = RAFT_DEFAULT
    join: tuple[Address, ...] = ()
    secret_file: Path | None = None
    secret: bytes | None = field(default=None, repr=False)
    on_follower: str = "redirect"
    log_level: str = "info"
    fault_port: int | None = None
    """Where tests tell this node what to suffer; None: nowhere."""
    raft_options: Options = field(default_factory=Options)

    def validate(self) -> None:
        """Raises ``StartupError``."""
        if not NAME.fullmatch(self.id):
            raise StartupError(f"--id {self.id!r}: a node's name is 1 to 64 letters, digits, '_' or '-'.")
        for flag, address in (("--rest", self.rest), ("--raft", self.raft)):
            if address.host in WILDCARDS:
                raise StartupError(f"{flag} {address}: other nodes dial this address, so it must name one host.")
        if self.rest == self.raft and self.rest.port:
            raise StartupError(f"--rest and --raft are both {self.rest}: they need two ports.")
        if any(not address.port for address in self.join):
            raise StartupError("--join: the REST address of a member, HOST:PORT, with its real port.")
        _choice("--on-follower", self.on_follower, ("redirect", "forward"))
        _choice("--log-level", self.log_level, LOG_LEVELS)

    def effective(self) -> dict[str, Any]:
        """For ``/status`` and the log: every setting as text; the secret only as whether there is one."""
        return {
            "id": self.id,
            "rest": str(self.rest),
            "raft": str(self.raft),
            "data_dir": str(self.data_dir),
            "join": [str(address) for address in self.join],
            "secret": "***" if self.secret else None,
            "on_follower": self.on_follower,
            "log_level": self.log_level,
            "fault_port": self.fault_port,
            "raft_options": dataclasses.asdict(self.raft_options),
        }


def load(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Config:
    """Settings from everywhere → the node's configuration. A flag that was not given is absent or None.

    Raises ``StartupError``.
    """
    given = {name: value for name, value in flags.items() if value not in (None, (), "")}
    variables = {name: f"DKV_{name.upper()}" for name in (*_PARSE, "config")}
    from_environ = {name: environ[variable] for name, variable in variables.items() if environ.get(variable)}
    file = given.pop("config", None) or from_environ.pop("config", None)
    settings = {**(_read(Path(file)) if file else {}), **from_environ, **given}
    if missing := [name for name in ("id", "data_dir") if name not in settings]:
        raise StartupError(f"--{missing[0].replace('_', '-')} is needed: dkv serve --id n1 --data-dir DIR")
    parsed = {name: _PARSE[name](name, value) for name, value in settings.items()}
    if secret_file := parsed.get("secret_file"):
        parsed["secret"] = _secret(secret_file)
    config = Config(**parsed)
    config.validate()
    return config


def _address(name: str, value: Any) -> Address:
    try:
        return parse_address(str(value))
    except ValueError as error:
        raise StartupError(f"{_flag(name)} {error}") from None


def _port(name: str, value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise StartupError(f"{_flag(name)} {text!r}: a port, and no host: it is open on 127.0.0.1 only.")
    return int(text)


def _addresses(name: str, value: Any) -> tuple[Address, ...]:
    texts: Sequence[Any] = [value] if isinstance(value, str) else value
    parts = [part.strip() for text in texts for part in str(text).split(",")]
    return tuple(_address(name, part) for part in parts if part)


def _options(name: str, value: Any) -> Options:
    try:
        return Options(**value)
    except (TypeError, AssertionError) as error:
        raise StartupError(f"[{name}] in the configuration file: {error}") from None


def _choice(flag: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise StartupError(f"{flag} {value!r}: expected one of {', '.join(choices)}.")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise StartupError(f"--secret-file {path}: {error.strerror}.") from None
    if len(secret) < SECRET_BYTES_MIN:
        raise StartupError(f"--secret-file {path}: the secret must have at least {SECRET_BYTES_MIN} bytes.")
    return secret


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(path.read_text())
    except OSError as error:
        raise StartupError(f"--config {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"--config {path} is not TOML: {error}.") from None
    settings = {name.replace("-", "_"): value for name, value in settings.items()}
    if unknown := sorted(settings.keys() - _PARSE.keys()):
        known = ", ".join(sorted(_PARSE))
        raise StartupError(f"--config {path}: unknown setting {unknown[0]!r}; known: {known}.")
    return settings


_PARSE: dict[str, Callable[[str, Any], Any]] = {
    "id": lambda _, value: str(value),
    "data_dir": lambda _, value: Path(value),
    "rest": _address,
    "raft": _address,
    "join": _addresses,
    "secret_file": lambda _, value: Path(value),
    "on_follower": lambda _, value: str(value),
    "log_level": lambda _, value: str(value).lower(),
    "fault_port": _port,
    "raft_options": _options,
}
"""Setting → how its text (or TOML value) is understood."""
