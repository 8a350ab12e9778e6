"""Launches runs in the code server, and can tell whether one still lives there.

Dagster's own launcher cannot, so that a run whose code server was killed would stand as started for ever, and keep its
place in the queue.
"""

from __future__ import annotations

from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value


class SupervisedRunLauncher(DefaultRunLauncher):
    """What monitoring asks: the code server knows the runs it carries, and a killed one takes them with it."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, "no code server carries this run")
        try:
            answer = deserialize_value(
                client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=10),
                CanCancelExecutionResult,
            )
        except DagsterUserCodeUnreachableError:
            # The code server is being started again. It answers the next time this is asked.
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code server does not answer")
        if answer.can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of this run has ended without a word")
