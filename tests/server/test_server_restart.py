"""kill -9 of the whole server: what was accepted survives, and its clients find it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from practice_servers import PATIENCE, connect, ending, server_process, wait_until
from practice_tasks import TASKS

from weft_wire.events import ProgressEvent, StateEvent, WarningEvent
from weft_wire.session import Session

ONE = {"data.0.values": np.arange(5, dtype="f4")}


def test_accepted_jobs_survive_the_server(tmp_path: Path) -> None:
    with server_process(tmp_path) as first, connect(tmp_path) as client:
        done = client.submit("practice", {}, ONE, job_id="done")
        ending(client, done)
        client.submit("practice", {"steps": 40, "pause": 0.05}, ONE, job_id="running")
        client.submit("practice", {}, ONE, job_id="waiting")
        for event in client.events("running", timeout=PATIENCE):
            if isinstance(event, ProgressEvent) and event.phase == "practising":
                break
        epoch = client.welcome.epoch
        first.kill()
        first.wait()
    with server_process(tmp_path), connect(tmp_path) as client:
        assert client.welcome.epoch == epoch
        assert [job.job_id for job in client.jobs()] == ["done", "running", "waiting"]
        assert client.fetch("done").arrays["doubled.0"].tolist() == [0, 2, 4, 6, 8]
        durable = [e for e in client.events("running", timeout=PATIENCE) if isinstance(e, StateEvent | WarningEvent)]
        assert [event.seq for event in durable] == list(range(1, len(durable) + 1))
        states = [event.state for event in durable if isinstance(event, StateEvent)]
        assert states == ["queued", "running", "queued", "running", "succeeded"]
        assert ending(client, "waiting").state == "succeeded"


def test_a_connected_client_comes_back_by_itself(tmp_path: Path) -> None:
    """The same client object, over the death of its server; the new one listens at another port."""
    with Session(key_dir=tmp_path / "keys", tasks=TASKS) as session:
        with server_process(tmp_path) as first:
            job_id = session.submit("practice", {"steps": 60, "pause": 0.05}, ONE)
            seen = []

            def state(wanted: str) -> bool:
                seen.extend(event for event in session.poll() if isinstance(event, StateEvent))
                return any(event.state == wanted for event in seen)

            wait_until(lambda: state("running"))
            first.kill()
            first.wait()
        with server_process(tmp_path):
            wait_until(lambda: state("succeeded"))
    assert [event.seq for event in seen] == sorted({event.seq for event in seen})
    assert {event.job_id for event in seen} == {job_id}


def test_an_upload_goes_on_after_the_server_died(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).random(24 << 20, np.float32)  # 96 MiB
    with Session(key_dir=tmp_path / "keys", tasks=TASKS) as session:
        with server_process(tmp_path) as first:
            job_id = session.submit("practice", {}, {"data.0.values": numbers})
            wait_until(lambda: list(tmp_path.glob("blobs/*/*/*")))
            first.kill()
            first.wait()
        assert list(tmp_path.glob("blobs/*/*/*.part"))  # it was killed before the end
        with server_process(tmp_path), connect(tmp_path) as client:
            wait_until(lambda: [job.state for job in client.jobs()] == ["succeeded"])
            assert client.fetch(job_id).arrays["doubled.0"].tobytes() == (2 * numbers).tobytes()


def test_a_worker_does_not_outlive_its_killed_server(tmp_path: Path) -> None:
    note = tmp_path / "starts"
    with server_process(tmp_path) as process, connect(tmp_path) as client:
        client.submit("practice", {"behaviour": "hang", "note": str(note)}, ONE)
        worker = int(wait_until(lambda: note.exists() and note.read_text()).strip())
        process.kill()
        process.wait()
        wait_until(lambda: not _alive(worker))


def _alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected does not."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
