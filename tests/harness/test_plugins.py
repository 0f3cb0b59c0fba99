from __future__ import annotations

import msgspec
import pytest

from halfopen import clients, faults, plugins
from halfopen.errors import InputError
from halfopen.pod import detectors


def test_a_file_is_a_plugin_under_its_name_with_dashes() -> None:
    assert plugins.names(detectors) == [
        "ack-stall", "bytes-acked", "halfopen", "none", "outq", "ping-timeout", "ping-timeout-90", "so-keepalive",
        "so-sndtimeo", "tcp-user-timeout",
    ]  # fmt: skip
    assert plugins.load(detectors, "bytes-acked", "detector").__name__ == "halfopen.pod.detectors.bytes_acked"


def test_the_machinery_is_no_plugin() -> None:
    assert not any(name.startswith("-") for package in (clients, faults, detectors) for name in plugins.names(package))
    assert "machine" not in plugins.names(clients)


def test_every_client_and_every_fault_has_what_the_seam_asks_for() -> None:
    for name in plugins.names(clients):
        module = plugins.load(clients, name, "client")
        assert module.Options().receive_buffer > 0
        assert callable(module.Behaviour)
        assert callable(module.signature)
    for name in plugins.names(faults):
        module = plugins.load(faults, name, "fault")
        assert issubclass(module.Options, msgspec.Struct)
        assert callable(module.fault)
        assert callable(module.signature)


def test_one_of_your_own_is_named_by_its_import_path() -> None:
    assert plugins.load(detectors, "tests.planted.reap_always", "detector").__name__ == "tests.planted.reap_always"
    with pytest.raises(InputError, match=r"cannot import detector 'no\.such': No module named 'no'"):
        plugins.load(detectors, "no.such", "detector")
