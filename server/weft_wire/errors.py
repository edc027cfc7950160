"""What can go wrong on the wire: one exception with a stable code, a line for people and the remedy."""

from __future__ import annotations

__all__ = ["CODES", "WireError"]

CODES: dict[str, str] = {
    "bad_address": "the address cannot be read as HOST:PORT",
    "bad_checkpoint": "a model's files are damaged, unsafe to read, or not what they should be",
    "blob_mismatch": "the bytes received do not have the announced hash",
    "busy": "the queue, or this client's share of it, is full; the hint says when to try again",
    "conflict": "the job id was used before for a different job",
    "credit_exceeded": "more chunks in flight than WELCOME allows",
    "disk_full": "the server has no room for more inputs or results",
    "handshake_failed": "the other end is no Weft server, or has another key",
    "hello_first": "a message came before HELLO",
    "internal": "a defect of the server; its log has the details under the incident number",
    "invalid_array": "an input array has a wrong type, shape or value",
    "invalid_camera": "cameras are missing or make no sense",
    "invalid_input": "the inputs of a job do not fit together",
    "invalid_parameter": "a parameter is unknown, of a wrong type, or out of range",
    "job_cancelled": "the job was cancelled, so it has no result",
    "job_failed": "the job failed, so it has no result",
    "job_poison": "the job killed its worker three times and was given up",
    "key_file": "a key file is missing, unreadable or malformed",
    "malformed": "the bytes received are no valid message",
    "missing_blob": "an input array was never uploaded, or has expired",
    "missing_dependency": "a package that the job needs is not installed on the server",
    "model_mismatch": "parts of models that do not belong together",
    "model_missing": "a model whose files are not on the server; the hint says how to get them",
    "not_connected": "the connection was lost and did not come back in time",
    "not_finished": "the job has not reached a result yet",
    "out_of_memory": "the job did not fit the server's memory",
    "protocol_version": "the two ends speak different versions of the protocol",
    "server_absent": "nothing answers at the address",
    "store": "the server's job store cannot be opened",
    "timeout": "no answer within the time allowed",
    "too_large": "the job is larger than the server accepts",
    "unauthorized": "the server does not know this client's key",
    "unknown_blob": "this client has no such array on the server",
    "unknown_job": "this client has no such job",
    "unknown_name": "a model or material that the server does not have",
    "unknown_task": "the server does not offer this task",
    "worker_died": "the worker died; the job is tried again",
}


class WireError(Exception):
    """`code` is stable and listed in CODES, or comes from a task; `message` is one line; `hint` is the remedy;
    `retry_after` seconds make sense with "busy"."""

    def __init__(self, code: str, message: str, hint: str = "", retry_after: float = 0.0) -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message
