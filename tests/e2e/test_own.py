"""What CI does with this project's own actions."""

from __future__ import annotations

import pytest

from tests.e2e.workflows import Workflows

pytestmark = pytest.mark.e2e


def test_the_job_of_ci_that_uses_every_action(workflows: Workflows) -> None:
    run = workflows.run_own("actions", "push").passed()
    assert "changed, 1 failure, 1 pending, 26.6.2 false, opened" in run.log
    assert not workflows.double.log, "the job has a GitHub of its own"
    workflows.row("push: every action of this project")
