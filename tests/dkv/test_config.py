"""Settings: precedence, parsing, and the sentences of refusal."""

from pathlib import Path

import pytest

from dkv.addresses import Address, loopback_source, parse_address
from dkv.config import Config, load
from dkv.errors import StartupError

LEAST = {"id": "n1", "data_dir": "/d"}


def test_least_configuration_has_defaults() -> None:
    config = load(LEAST, {})
    assert config == Config(id="n1", data_dir=Path("/d"))
    assert str(config.rest) == "127.0.0.1:30000"


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = tmp_path / "dkv.toml"
    file.write_text('id = "file"\nrest = "127.0.0.1:1"\nraft = "127.0.0.1:2"\non-follower = "forward"\n')
    environ = {"DKV_CONFIG": str(file), "DKV_ID": "env", "DKV_REST": "127.0.0.1:3", "DKV_DATA_DIR": "/e"}
    config = load({"id": "flag", "rest": None, "join": ()}, environ)
    assert (config.id, config.rest.port, config.raft.port) == ("flag", 3, 2)
    assert (config.on_follower, config.data_dir, config.log_level) == ("forward", Path("/e"), "info")


def test_raft_options_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "dkv.toml"
    file.write_text("[raft_options]\nheartbeat_s = 0.05\n")
    assert load({**LEAST, "config": str(file)}, {}).raft_options.heartbeat_s == 0.05


@pytest.mark.parametrize(
    "value",
    [["127.0.0.1:1", "127.0.0.1:2"], ("127.0.0.1:1,127.0.0.1:2",), "127.0.0.1:1, 127.0.0.1:2,"],
)
def test_join_may_be_repeated_or_separated_by_commas(value: object) -> None:
    assert load({**LEAST, "join": value}, {}).join == (Address("127.0.0.1", 1), Address("127.0.0.1", 2))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("localhost:80", Address("localhost", 80)),
        ("[::1]:80", Address("::1", 80)),
    ],
)
def test_addresses_parse_and_print(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("127.0.0.1", None),
        ("127.0.0.2", ("127.0.0.2", 0)),
        ("127.1.2.3", ("127.1.2.3", 0)),
        ("10.0.0.1", None),
        ("localhost", None),
        ("::1", None),
    ],
)
def test_only_a_loopback_address_of_its_own_is_dialled_from(host: str, source: tuple[str, int] | None) -> None:
    assert loopback_source(host) == source


def test_there_is_no_fault_port_unless_it_is_asked_for() -> None:
    assert load(LEAST, {}).fault_port is None
    assert load(LEAST, {}).effective()["fault_port"] is None
    assert load({**LEAST, "fault_port": "0"}, {}).effective()["fault_port"] == 0


@pytest.mark.parametrize("text", ["", "host", ":80", "host:", "host:http", "host:70000", "host:-1", "host:²", "::1:80"])
def test_bad_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"id": None}, "--id is needed"),
        ({"data_dir": None}, "--data-dir is needed"),
        ({"id": "n 1"}, "a node's name"),
        ({"id": "n" * 65}, "a node's name"),
        ({"id": "n.1"}, "a node's name"),
        ({"rest": "0.0.0.0:1"}, "must name one host"),
        ({"rest": "127.0.0.1:7", "raft": "127.0.0.1:7"}, "each needs a port of its own"),
        ({"gossip": "127.0.0.1:7", "raft": "127.0.0.1:7"}, "--gossip and --raft are both"),
        ({"gossip_rpc": "127.0.0.1:40000"}, "--gossip and --gossip-rpc are both"),
        ({"gossip": "0.0.0.0:1"}, "must name one host"),
        ({"gossip_profile": "moon"}, "--gossip-profile 'moon': expected one of"),
        ({"gossip_label": "x" * 256}, "at most 255"),
        ({"gossip_key": "/nowhere/key"}, "--gossip-key /nowhere/key: No such file"),
        ({"gossip_rpc_auth": "/nowhere/token", "gossip_rpc": "127.0.0.1:0"}, "No such file"),
        ({"join": ["127.0.0.1:0"]}, "--join: the gossip address"),
        ({"rest": "30001"}, "--rest '30001': expected HOST:PORT"),
        ({"on_follower": "proxy"}, "redirect, forward"),
        ({"log_level": "loud"}, "debug, info"),
        ({"fault_port": "0.0.0.0:7"}, "--fault-port '0.0.0.0:7': a port, and no host"),
        ({"fault_port": "70000"}, "--fault-port"),
        ({"secret_file": "/nowhere/secret"}, "No such file"),
        ({"config": "/nowhere/dkv.toml"}, "No such file"),
    ],
)
def test_refusals_say_what_to_write(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(StartupError, match=sentence):
        load({**LEAST, **settings}, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id = ", "is not TOML"),
        ('port = "1"', "unknown setting 'port'; known: autopilot, data_dir"),
        ("[raft_options]\nheartbeat_s = 9.0", "configuration file"),
        ("[raft_options]\nspeed = 9.0", "speed"),
        ("[autopilot]\nspeed = 9.0", "speed"),
        ("[autopilot]\nremove_failed_after_s = 0.0", "more than 0"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "dkv.toml").write_text(text)
    with pytest.raises(StartupError, match=sentence):
        load({**LEAST, "config": str(tmp_path / "dkv.toml")}, {})


def test_the_secret_is_read_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("correct horse battery staple\n")
    config = load({**LEAST, "secret_file": str(tmp_path / "secret")}, {})
    assert config.secret == b"correct horse battery staple"
    assert config.effective()["secret"] == "***"
    assert "horse" not in repr(config) + repr(config.effective())


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("123\n")
    with pytest.raises(StartupError, match="at least 16 bytes"):
        load({**LEAST, "secret_file": str(tmp_path / "secret")}, {})


KEYS = ["MDEyMzQ1Njc4OWFiY2RlZg==", "ZmVkY2JhOTg3NjU0MzIxMA=="]


@pytest.mark.parametrize("text", ["\n".join(KEYS), f" {KEYS[0]} \n\n{KEYS[1]}\n", f'["{KEYS[0]}", "{KEYS[1]}"]'])
def test_gossip_keys_are_read_and_never_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text)
    config = load({**LEAST, "gossip_key": str(tmp_path / "keys")}, {})
    assert config.gossip_keyring is not None
    assert config.gossip_keyring.keys == (b"0123456789abcdef", b"fedcba9876543210")
    assert config.effective()["gossip_key"] == "***"
    assert not [key for key in (*KEYS, "0123456789abcdef") if key in repr(config) + repr(config.effective())]


@pytest.mark.parametrize("text", ["", "hello", "MDEy", "[1]", "[", "\x00\xff"])
def test_files_that_are_no_keys_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(StartupError, match=r"--gossip-key .*keys: .*serf keygen"):
        load({**LEAST, "gossip_key": str(tmp_path / "keys")}, {})


def test_the_token_of_the_rpc_is_read_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    settings = {**LEAST, "gossip_rpc": "127.0.0.1:0", "gossip_rpc_auth": str(tmp_path / "token")}
    config = load(settings, {})
    assert config.gossip_rpc_token == "sesame"
    assert "sesame" not in repr(config) + repr(config.effective())
    with pytest.raises(StartupError, match="for --gossip-rpc"):
        load({**settings, "gossip_rpc": None}, {})
    (tmp_path / "token").write_text("\n")
    with pytest.raises(StartupError, match="is empty"):
        load(settings, {})


def test_patience_follows_the_profile_unless_it_is_told(tmp_path: Path) -> None:
    assert [load({**LEAST, "gossip_profile": name}, {}).stabilization_s for name in ("local", "lan", "wan")] == [
        0.3,
        2.0,
        10.0,
    ]
    (tmp_path / "dkv.toml").write_text("[autopilot]\nstabilization_s = 7.0\nremove_failed_after_s = 60.0\n")
    config = load({**LEAST, "config": str(tmp_path / "dkv.toml"), "gossip_profile": "wan"}, {})
    assert config.stabilization_s == 7.0
    assert config.effective()["autopilot"] == {"stabilization_s": 7.0, "remove_failed_after_s": 60.0}
