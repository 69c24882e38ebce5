"""fio writes to a volume's export and reads everything back, for as long as somebody else works on the volume."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.display import until

JOB = """[global]
ioengine=nbd
uri={uri}
direct=1
verify=crc32c
verify_fatal=1
group_reporting=1
[{name}]
rw={rw}
bs=16k
iodepth=8
size={size}
{more}
"""
LONGEST_SECONDS = 300
ENDED_BY_SIGNAL = 128


class Fio:
    """Random verified writes that go on until `finish`, which fails the test when a byte was wrong."""

    def __init__(self, folder: Path, uri: str, size: int) -> None:
        self.folder, self.uri, self.size = folder, uri, size
        folder.mkdir()
        if shutil.which("fio") is None:
            pytest.skip("fio is missing")
        more = f"verify_backlog=256\ntime_based=1\nruntime={LONGEST_SECONDS}"
        self._out = (folder / "out").open("wb")
        words = [*self._words("verify", "randwrite", more), "--status-interval=1"]
        self._process = subprocess.Popen(words, **self._options())

    def _words(self, name: str, rw: str, more: str) -> list[str]:
        job = self.folder / f"{name}.fio"
        job.write_text(JOB.format(uri=self.uri, size=self.size, rw=rw, name=name, more=more))
        return ["fio", "--output-format=json", f"--output={self.folder / name}.json", str(job)]

    def _options(self) -> dict[str, Any]:
        return {"cwd": self.folder, "stdout": self._out, "stderr": self._out, "stdin": subprocess.DEVNULL}

    def wait_until_it_runs(self) -> None:
        """Its first words arrive once it has written."""
        out = self.folder / "verify.json"
        until(120, lambda: out.exists() and out.stat().st_size > 0, "fio's first report")

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def finish(self) -> None:
        """It must have run until now without an error; then it writes and reads all of the volume once more."""
        self.stop()
        self.write_all()

    def stop(self) -> None:
        """End it. It must have run until now, and have read back without an error what it wrote."""
        said = (self.folder / "out").read_text(errors="replace")
        assert self.running, f"fio ended by itself: {said}"
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(120)
        said = (self.folder / "out").read_text(errors="replace")
        assert status in (0, ENDED_BY_SIGNAL), (status, said)
        job = last_report((self.folder / "verify.json").read_text())["jobs"][0]
        assert job["error"] == 0, said
        assert job["write"]["total_ios"] > 0
        assert job["read"]["total_ios"] > 0, "nothing was read back"

    def write_all(self) -> None:
        """Write all of the volume and read it back."""
        done = subprocess.run(self._words("all", "write", "do_verify=1"), timeout=240, check=False, **self._options())
        assert done.returncode == 0, (self.folder / "out").read_text(errors="replace")

    def close(self) -> None:
        if self.running:
            self._process.kill()
        self._process.wait()
        self._out.close()


def last_report(text: str) -> Any:
    """fio writes one JSON object after the other."""
    decoder, at, found = json.JSONDecoder(), 0, None
    while (start := text.find("{", at)) >= 0:
        found, at = decoder.raw_decode(text, start)
    assert found is not None, text
    return found
