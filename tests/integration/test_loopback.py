"""What a run on one machine opens to the network: nothing."""

import ipaddress
import os
import signal
from pathlib import Path

import pytest
from tiny import SETTINGS, Running, processes, until

pytestmark = [pytest.mark.ray, pytest.mark.prefect]

LISTENING = "0A"  # of /proc/net/tcp


def test_everything_listens_on_loopback_alone(command, recordings, tmp_path):
    running = command.start("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    found: list = []

    def trainer_listens() -> bool:  # its title has been seen without its socket
        found[:] = listening(running)
        return any("ray::FoldTrainer" in title for title, _ in found)

    until(lambda: trainer_listens() or running.process.poll() is not None, 200)
    running.process.send_signal(signal.SIGINT)
    ended = running.end(timeout_s=60)
    assert ended.status == 130, ended.stderr
    titles = {title for title, _ in found}
    assert any("gcs_server" in title for title in titles)
    assert any("ray::FoldTrainer" in title for title in titles)
    assert any("tasks.local_api" in title for title in titles)
    assert [(title, address) for title, address in found if not address.is_loopback] == []


def listening(running: Running) -> list[tuple[str, ipaddress.IPv4Address | ipaddress.IPv6Address]]:
    """Process title and address of every socket that the command and what it started listen at."""
    family = {running.process.pid}
    for _ in range(5):  # generations
        family |= {one.pid for one in processes() if one.parent in family or one.session in family}
    addresses = dict(sockets())
    found = []
    for one in processes():
        if one.pid not in family:
            continue
        for entry in Path(f"/proc/{one.pid}/fd").iterdir():
            try:
                target = os.readlink(entry)
            except OSError:  # closed meanwhile
                continue
            if (inode := target.removeprefix("socket:[").removesuffix("]")) in addresses:
                found.append((one.title.replace(b"\0", b" ").decode(), addresses[inode]))
    return found


def sockets():
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING:
                words = bytes.fromhex(local.partition(":")[0])  # of 32 bits each, in the machine's order
                packed = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                address = ipaddress.ip_address(packed)
                yield inode, getattr(address, "ipv4_mapped", None) or address
