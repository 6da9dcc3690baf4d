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
from typing import Any, TypeVar

from dkv.addresses import Address, parse_address
from dkv.autopilot import STABILIZATION_S
from dkv.autopilot import Options as AutopilotOptions
from dkv.errors import StartupError
from dkv.gossip.memberlist.profiles import PROFILES
from dkv.gossip.wire.encryption import Keyring, KeyringError, key_from_text, keyring_from_json
from dkv.raft.options import Options

T = TypeVar("T")

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
WILDCARDS = frozenset({"", "0.0.0.0", "::"})
LOG_LEVELS = ("debug", "info", "warning", "error")
SECRET_BYTES_MIN = 16
"""A shared secret shorter than this is a password, and passwords get guessed."""

LABEL_BYTES_MAX = 255
"""memberlist's: one byte says how long the label is."""

REST_DEFAULT = Address("127.0.0.1", 30000)
GOSSIP_DEFAULT = Address("127.0.0.1", 40000)
RAFT_DEFAULT = Address("127.0.0.1", 50000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One node's settings. ``join``: gossip addresses of members; a node whose data directory is empty joins their
    cluster, any other just looks for them there. ``secret``, ``gossip_keyring`` and ``gossip_rpc_token`` are what the
    files of similar names contain."""

    id: str
    data_dir: Path
    rest: Address = REST_DEFAULT
    gossip: Address = GOSSIP_DEFAULT
    raft: Address = RAFT_DEFAULT
    join: tuple[Address, ...] = ()
    gossip_key: Path | None = None
    gossip_keyring: Keyring | None = None
    gossip_profile: str = "lan"
    gossip_label: str = ""
    gossip_rpc: Address | None = None
    """Where ``serf ... -rpc-addr`` is served; None: nowhere."""
    gossip_rpc_auth: Path | None = None
    gossip_rpc_token: str = field(default="", repr=False)
    secret_file: Path | None = None
    secret: bytes | None = field(default=None, repr=False)
    on_follower: str = "redirect"
    log_level: str = "info"
    fault_port: int | None = None
    """Where tests tell this node what to suffer; None: nowhere."""
    raft_options: Options = field(default_factory=Options)
    autopilot: AutopilotOptions = field(default_factory=AutopilotOptions)

    @property
    def stabilization_s(self) -> float:
        """The autopilot's, as set or as it suits the profile."""
        told = self.autopilot.stabilization_s
        return STABILIZATION_S[self.gossip_profile] if told is None else told

    def validate(self) -> None:
        """Raises ``StartupError``."""
        if not NAME.fullmatch(self.id):
            raise StartupError(f"--id {self.id!r}: a node's name is 1 to 64 letters, digits, '_' or '-'.")
        for flag, address in self._listening():
            if address.host in WILDCARDS:
                raise StartupError(f"{flag} {address}: other nodes dial this address, so it must name one host.")
        used: dict[Address, str] = {}
        for flag, address in self._listening():
            if address.port and (other := used.setdefault(address, flag)) != flag:
                raise StartupError(f"{other} and {flag} are both {address}: each needs a port of its own.")
        if any(not address.port for address in self.join):
            raise StartupError("--join: the gossip address of a member, HOST:PORT, with its real port.")
        if len(self.gossip_label.encode()) > LABEL_BYTES_MAX:
            raise StartupError(f"--gossip-label: at most {LABEL_BYTES_MAX} bytes.")
        if self.gossip_rpc_auth is not None and self.gossip_rpc is None:
            raise StartupError("--gossip-rpc-auth is for --gossip-rpc, which is not given.")
        _choice("--gossip-profile", self.gossip_profile, tuple(PROFILES))
        _choice("--on-follower", self.on_follower, ("redirect", "forward"))
        _choice("--log-level", self.log_level, LOG_LEVELS)

    def _listening(self) -> list[tuple[str, Address]]:
        flags = [("--rest", self.rest), ("--gossip", self.gossip), ("--raft", self.raft)]
        return flags if self.gossip_rpc is None else [*flags, ("--gossip-rpc", self.gossip_rpc)]

    def effective(self) -> dict[str, Any]:
        """For ``/status`` and the log: every setting as text; the secret only as whether there is one."""
        return {
            "id": self.id,
            "rest": str(self.rest),
            "gossip": str(self.gossip),
            "raft": str(self.raft),
            "data_dir": str(self.data_dir),
            "join": [str(address) for address in self.join],
            "gossip_key": "***" if self.gossip_keyring else None,
            "gossip_profile": self.gossip_profile,
            "gossip_label": self.gossip_label,
            "gossip_rpc": None if self.gossip_rpc is None else str(self.gossip_rpc),
            "gossip_rpc_auth": "***" if self.gossip_rpc_token else None,
            "secret": "***" if self.secret else None,
            "on_follower": self.on_follower,
            "log_level": self.log_level,
            "fault_port": self.fault_port,
            "raft_options": dataclasses.asdict(self.raft_options),
            "autopilot": {**dataclasses.asdict(self.autopilot), "stabilization_s": self.stabilization_s},
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
    if key_file := parsed.get("gossip_key"):
        parsed["gossip_keyring"] = _keyring(key_file)
    if token_file := parsed.get("gossip_rpc_auth"):
        parsed["gossip_rpc_token"] = _token(token_file)
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


def _table(options: type[T]) -> Callable[[str, Any], T]:
    def parse(name: str, value: Any) -> T:
        try:
            return options(**value)
        except (TypeError, AssertionError) as error:
            raise StartupError(f"[{name}] in the configuration file: {error}") from None

    return parse


def _choice(flag: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise StartupError(f"{flag} {value!r}: expected one of {', '.join(choices)}.")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _secret(path: Path) -> bytes:
    secret = _content("--secret-file", path).strip()
    if len(secret) < SECRET_BYTES_MIN:
        raise StartupError(f"--secret-file {path}: the secret must have at least {SECRET_BYTES_MIN} bytes.")
    return secret


def _keyring(path: Path) -> Keyring:
    """One key a line, the first is the primary; or Serf's own keyring file."""
    text = _content("--gossip-key", path).decode(errors="replace").strip()
    try:
        if text.startswith("["):
            return keyring_from_json(text)
        return Keyring(*(key_from_text(line.strip()) for line in text.splitlines() if line.strip()))
    except KeyringError as error:
        raise StartupError(
            f"--gossip-key {path}: {error}. It holds keys of 16, 24 or 32 bytes in base64, one a line, as "
            "`serf keygen` prints them."
        ) from None


def _token(path: Path) -> str:
    token = _content("--gossip-rpc-auth", path).decode(errors="replace").strip()
    if not token:
        raise StartupError(f"--gossip-rpc-auth {path}: the file is empty.")
    return token


def _content(flag: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartupError(f"{flag} {path}: {error.strerror}.") from None


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
    "gossip": _address,
    "raft": _address,
    "join": _addresses,
    "gossip_key": lambda _, value: Path(value),
    "gossip_profile": lambda _, value: str(value).lower(),
    "gossip_label": lambda _, value: str(value),
    "gossip_rpc": _address,
    "gossip_rpc_auth": lambda _, value: Path(value),
    "secret_file": lambda _, value: Path(value),
    "on_follower": lambda _, value: str(value),
    "log_level": lambda _, value: str(value).lower(),
    "fault_port": _port,
    "raft_options": _table(Options),
    "autopilot": _table(AutopilotOptions),
}
"""Setting → how its text (or TOML value) is understood."""
