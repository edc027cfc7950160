"""What is under way between a client and its server: uploads, downloads, subscriptions. One thread only.

Nothing in here waits. After a lost connection the next WELCOME starts everything again where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

from weft_wire.channel import Link
from weft_wire.errors import WireError
from weft_wire.events import EventQueue, FailedRequest, JobResult, PreviewAssembly, ResultEvent
from weft_wire.messages import (
    BlobHave,
    BlobPut,
    Cancel,
    Error,
    Fetch,
    Manifest,
    PreviewChunk,
    ProgressEvent,
    Results,
    StateEvent,
    Subscribe,
    WarningEvent,
    Welcome,
)
from weft_wire.requests import Answer, Requests
from weft_wire.transfer import Download, Submission, Upload

__all__ = ["Exchange"]

REPAIRS = 3  # how often arrays that the server has lost are uploaded again


class Exchange:
    """One session's dealings with its server; what happens goes to `events`."""

    def __init__(self, events: EventQueue, executor: Executor) -> None:
        self.welcome: Welcome | None = None
        self._greeted = 0
        self._events = events
        self._executor = executor
        self._requests = Requests()
        self._submissions: dict[str, Submission] = {}
        self._downloads: dict[str, Download] = {}
        self._seen: dict[str, int] = {}  # of watched jobs: the last durable event
        self._previews = PreviewAssembly()

    def ask(self, message: Any, future: Future[Any]) -> None:
        """Any one request; the future gets its answer."""

        def answer(reply: Any, _: Any) -> None:
            if future.set_running_or_notify_cancel():
                future.set_exception(reply) if isinstance(reply, WireError) else future.set_result(reply)

        self._requests.ask(message, answer)

    def begin(self, submission: Submission) -> None:
        """Take over a job whose arrays will follow by `upload`; without any it is submitted at once."""
        job_id = submission.message.job_id
        if job_id in self._submissions:
            self.give_up(self._submissions[job_id], WireError("conflict", f"job {job_id} is being sent twice"))
        self._submissions[job_id] = submission
        if submission.complete:
            submission.submitted = True
            self._submit(submission)

    def upload(self, submission: Submission, upload: Upload) -> None:
        """Take over one hashed array of a job; the job is submitted when all are up."""
        if self._submissions.get(submission.message.job_id) is submission:
            submission.uploads.append(upload)
            self._offer(submission, upload)

    def give_up(self, submission: Submission, error: WireError) -> None:
        """The job cannot be sent, or was refused."""
        if self._submissions.pop(submission.message.job_id, None):
            submission.accepted.set_exception(error)

    def cancel(self, job_id: str) -> None:
        """Stop a job, wherever it is: still here, between here and the server, or there."""
        submission = self._submissions.get(job_id)
        if submission is None:
            self._requests.ask(Cancel(job_id), self._unless_failed(job_id, lambda _: None))
        elif submission.submitted:
            submission.cancelled = True
        else:
            self.give_up(submission, WireError("job_cancelled", "the job was cancelled before it was sent"))
            self._events.put(StateEvent(job_id, 1, "cancelled", 0))

    def watch(self, job_id: str, after_seq: int) -> None:
        """Receive the job's events from there on."""

        def answer(reply: Any, _: Any) -> None:
            if isinstance(reply, WireError):
                self._seen.pop(job_id, None)
                self._events.put(FailedRequest(job_id, reply))

        self._seen[job_id] = after_seq
        self._requests.ask(Subscribe(job_id, after_seq), answer)

    def fetch(self, job_id: str) -> None:
        """Ask for the job's results, all of them."""

        def begin(manifest: Manifest) -> None:
            self._downloads[job_id] = Download(manifest, self._executor)
            if not manifest.arrays:
                self._finish(self._downloads[job_id])

        self._requests.ask(Results(job_id), self._unless_failed(job_id, begin))

    def receive(self, message: Any, payload: Any) -> None:
        """Take in one message of the server."""
        if isinstance(message, Welcome):
            self._greeted += 1
            if self._greeted >= 2:  # both channels must be welcomed before the first request
                self.welcome = message
        elif isinstance(message, StateEvent | WarningEvent):
            self._durable(message)
        elif isinstance(message, ProgressEvent):
            self._events.put(message)
        elif isinstance(message, PreviewChunk):
            preview = self._previews.add(message, payload)
            if preview is not None:
                self._events.put(preview)
        elif not self._requests.answered(message, payload) and isinstance(message, Error):
            if message.code == "hello_first":
                raise WireError("not_connected", "the server has dropped this connection", "it is taken up again")
            if not self.welcome:
                raise message.raised()

    def fill(self, link: Link) -> None:
        """Send what may be sent: every request, and as many chunks as the credit allows."""
        if self.welcome is None:
            return
        self._requests.send_waiting(link)
        room = self.welcome.limits.credit - self._requests.outstanding(BlobPut)
        for submission in list(self._submissions.values()):
            for upload in submission.uploads:
                while room > 0 and (chunk := upload.next_chunk()) is not None:
                    self._put(link, submission, upload, *chunk)
                    room -= 1
        room = self.welcome.limits.credit - self._requests.outstanding(Fetch)
        for download in list(self._downloads.values()):
            while room > 0 and (piece := download.next_piece()) is not None:
                self._get(link, download, *piece)
                room -= 1

    def disconnected(self) -> None:
        """Forget what only the lost connection knew."""
        self.welcome, self._greeted = None, 0
        self._requests.connection_lost()
        for submission in self._submissions.values():
            for upload in submission.uploads:
                if upload.sent >= 0 and not upload.complete:
                    self._offer(submission, upload)
        for job_id, seq in list(self._seen.items()):
            self.watch(job_id, seq)

    def abandon(self) -> None:
        """The session ends: whoever waits for an answer gets an error."""
        error = WireError("not_connected", "the session was closed", "open a new one")
        for submission in list(self._submissions.values()):
            self.give_up(submission, error)
        self._requests.abandon(error)

    def _durable(self, event: StateEvent | WarningEvent) -> None:
        """Pass on the next event of a watched job; after a gap ask again, and never show one twice."""
        seen = self._seen.get(event.job_id)
        if seen is None or event.seq <= seen:
            return
        if event.seq > seen + 1:
            self.watch(event.job_id, seen)
            return
        self._seen[event.job_id] = event.seq
        self._events.put(event)
        if isinstance(event, StateEvent) and event.terminal:
            del self._seen[event.job_id]
            self._previews.forget(event.job_id)

    def _unless_failed(self, job_id: str, then: Callable[[Any], None]) -> Answer:
        def answer(reply: Any, _: Any) -> None:
            if isinstance(reply, WireError):
                self._events.put(FailedRequest(job_id, reply))
            else:
                then(reply)

        return answer

    def _offer(self, submission: Submission, upload: Upload) -> None:
        """Ask how much of the array the server has, and go on from there."""
        upload.sent = -1

        def answer(reply: Any, payload: Any) -> None:
            if not isinstance(reply, WireError):
                upload.sent = reply.offset
            self._acknowledged(submission, upload)(reply, payload)

        self._requests.ask(BlobHave(upload.ref.sha256, upload.ref.nbytes), answer)

    def _put(self, link: Link, submission: Submission, upload: Upload, offset: int, chunk: memoryview) -> None:
        message = BlobPut(upload.ref.sha256, upload.ref.nbytes, offset)
        self._requests.send(link, message, self._acknowledged(submission, upload), chunk)

    def _acknowledged(self, submission: Submission, upload: Upload) -> Answer:
        def answer(reply: Any, _: Any) -> None:
            if self._submissions.get(submission.message.job_id) is not submission:
                return  # it was cancelled meanwhile
            if isinstance(reply, WireError):
                self.give_up(submission, reply)
                return
            upload.complete = upload.complete or reply.complete
            if submission.complete and not submission.submitted:
                submission.submitted = True
                self._submit(submission)

        return answer

    def _submit(self, submission: Submission) -> None:
        message = replace(submission.message, arrays=tuple(upload.ref for upload in submission.uploads))

        def answer(reply: Any, _: Any) -> None:
            if isinstance(reply, WireError) and reply.code == "missing_blob" and submission.repairs < REPAIRS:
                self._repair(submission)
            elif isinstance(reply, WireError):
                self.give_up(submission, reply)
            else:
                del self._submissions[message.job_id]
                submission.accepted.set_result(reply.job)
                self.watch(message.job_id, 0)
                if submission.cancelled:
                    self.cancel(message.job_id)

        self._requests.ask(message, answer)

    def _repair(self, submission: Submission) -> None:
        """The server lost arrays between upload and submit: offer them all again."""
        submission.repairs += 1
        submission.submitted = False
        for upload in submission.uploads:
            upload.complete = False
            self._offer(submission, upload)

    def _get(self, link: Link, download: Download, index: int, offset: int, sha256: str) -> None:
        def answer(reply: Any, payload: Any) -> None:
            if self._downloads.get(download.job_id) is not download:
                return
            try:
                if isinstance(reply, WireError):
                    raise reply
                download.received(index, reply.offset, payload)
            except WireError as error:
                del self._downloads[download.job_id]
                self._events.put(FailedRequest(download.job_id, error))
                return
            if download.complete:
                self._finish(download)

        self._requests.send(link, Fetch(sha256, offset), answer)

    def _finish(self, download: Download) -> None:
        del self._downloads[download.job_id]

        def verified(future: Future[JobResult]) -> None:
            error = future.exception()
            if error is None:
                self._events.put(ResultEvent(download.job_id, future.result()))
            elif isinstance(error, WireError):
                self._events.put(FailedRequest(download.job_id, error))

        download.result().add_done_callback(verified)
