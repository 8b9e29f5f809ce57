"""### Score feedback

Scores the comments that the champion has not scored, in batches, with a probability and the
model's version. Starts after a build, and after a new champion. Without either there is nothing to
do yet: the one that comes last starts it again.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.wiring import CHAMPION, MARTS, SCORES, conclude, defaults, log, tags
from infra.contract import queue


@dag(
    "score_feedback",
    description="Score residents' comments with the champion",
    schedule=MARTS | CHAMPION,
    doc_md=__doc__,
    max_active_runs=1,
    default_args=defaults("Data science"),
    tags=tags("score", "internal"),
)
def score_feedback() -> None:
    """Wire `score`."""

    @task(outlets=[SCORES], queue=queue("score"))
    def score(run_id: str, outlet_events: Any) -> None:
        """Load the champion and write `ml.feedback_score`."""
        from infra.contract import load_deployment
        from warehouse import progress

        deployment = load_deployment()
        warehouse = deployment.database_url("warehouse")
        watermark = progress.pending_watermark(warehouse, "score")
        if not watermark:
            waiting = "no marts or no champion yet; the first of them starts this again"
            conclude(f"nothing scored: {waiting}")
            raise AirflowSkipException(waiting)
        os.environ.update(deployment.mlflow_environment())
        from ml.score import score_new_feedback

        scored = score_new_feedback(warehouse, deployment.url("mlflow"), report=log)
        # Scoring follows a champion that a person chose in MLflow.
        watermark |= {f"model.{scored.model_name}": scored.model_version}
        progress.advance_watermark(warehouse, "score", watermark, run_id)
        outlet_events[SCORES].extra = {
            "model_version": scored.model_version,
            "scored": scored.scored,
            "already_scored": scored.already_scored,
        }
        conclude(
            f"scored {scored.scored:,} comments by {scored.model_name} version "
            f"{scored.model_version}; {scored.already_scored:,} had its score already"
        )

    score()


score_feedback()
