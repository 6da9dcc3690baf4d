"""One node, put together: the only place where all organs meet.

Order of start: signals, storage, HTTP (``/livez`` answers from here on, the rest is refused), identity (from disk, by
founding, or by joining), recovery, links, requests. Order of stop: refuse, finish what is in flight, hand the
leadership over, close HTTP, links, turn, storage. Law: a data directory that names its cluster outweighs every flag.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import dkv
from dkv import identity as identities
from dkv.addresses import Address
from dkv.api.peer_calls import PeerCalls
from dkv.api.server import ApiServer, OnFollower
from dkv.clock import MonotonicClock
from dkv.config import Config
from dkv.directory import Directory, load_hints, save_hints
from dkv.errors import DkvError, MembershipRefused, NotLeader, StartupError
from dkv.gate import Gate
from dkv.identity import Identity
from dkv.joining import JoinAnswer, JoinRequest, MemberInfo
from dkv.kv.state_machine import KeyValue
from dkv.levels import Level
from dkv.membership import Membership
from dkv.metrics import Metrics
from dkv.net.door import bind
from dkv.net.peers import Peers
from dkv.operations import NodeOperations, Organs, is_up
from dkv.raft.checkpoint import FileCheckpoints
from dkv.raft.contracts import GroupId, NodeId
from dkv.raft.host import Host
from dkv.raft.replica import Replica
from dkv.raft.status import Role
from dkv.raft.storage import Storage
from dkv.router import Router
