"""From labelled texts to scores in the warehouse, with a real MLflow and a real PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pandas as pd
import psycopg
import pytest

from ml.champion import promote, require_champion
from ml.labels import LABELS
from ml.registry import Registry, RegistryError
from ml.score import _WRITE, load_model, score_lines, score_new_feedback
from ml.train import train

MOODS = (
    ["awful smell", "so angry", "disgusting bins", "rude clerk", "late again", "ashamed of it"],
    ["where is it", "which form", "what day", "light is out", "at the corner", "is it open"],
    ["thank you", "lovely park", "great crew", "so happy", "well done", "wonderful clerk"],
)


def write_data(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for split, streets in (("train", "abcdef"), ("val", "gh"), ("test", "ij")):
        rows = [
            (f"{text} on street {street}", label)
            for label, texts in enumerate(MOODS)
            for text in texts
            for street in streets
        ]
        (folder / f"{split}_text.txt").write_text("".join(f"{text}\n" for text, _ in rows))
        (folder / f"{split}_labels.txt").write_text("".join(f"{label}\n" for _, label in rows))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder of this module; MLflow's file artifacts go below the working folder."""
    folder = tmp_path_factory.mktemp("ml")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def uri(place):
    return f"sqlite:///{place}/mlflow.db"


@pytest.fixture(scope="module")
def data(place):
    return write_data(place / "streets")


@pytest.fixture(scope="module")
def trained(warehouse, uri, data):
    return train(uri, data=data, model_name="sentiment", warehouse_url=warehouse.url)


@pytest.fixture(scope="module")
def feedback(warehouse):
    """`marts.fct_feedback` with 25 comments of two cities and two without words."""
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(
            "create table marts.fct_feedback (city_id text, feedback_id text, text text)"
        )
        rows = [
            ("demo" if n % 2 else "nyc", f"f{n:02}", f"{texts[n % 6]} on street k")
            for n, texts in enumerate([MOODS[n % 3] for n in range(25)])
        ]
        with connection.cursor() as cursor:
            cursor.executemany("insert into marts.fct_feedback values (%s, %s, %s)", rows)
            cursor.execute("insert into marts.fct_feedback values ('demo', 'blank', E' \\n\\t')")
            cursor.execute("insert into marts.fct_feedback values ('demo', 'nothing', null)")
    return rows


def rows_of(warehouse, query, *args):
    with psycopg.connect(warehouse.url) as connection:
        return connection.execute(query, args).fetchall()


def test_both_candidates_are_runs_that_can_be_compared(trained, uri):
    net, vader = trained.versions
    assert (net.net, vader.net) == ("subword", "vader")
    client = mlflow.MlflowClient(uri)
    runs = [client.get_run(version.run_id) for version in trained.versions]
    for run in runs:
        assert run.data.params["data"] == "streets"
        assert run.data.params["data_fingerprint"] == trained.dataset.fingerprint
        for name in ("macro_recall", "macro_f1", "recall_negative", "precision_positive"):
            assert 0 <= run.data.metrics[f"validation_{name}"] <= 1
            assert 0 <= run.data.metrics[f"test_{name}"] <= 1
        assert len(run.data.tags["code_fingerprint"]) == 64
        pictures = {item.path for item in client.list_artifacts(run.info.run_id)}
        assert {"confusion_validation.png", "confusion_test.png"} <= pictures
    assert runs[0].data.params["learning_rate"] and runs[0].data.params["seed"] == "0"
    epochs = client.get_metric_history(runs[0].info.run_id, "epoch_validation_macro_recall")
    assert [point.step for point in epochs] == list(range(1, len(epochs) + 1))
    best = max(point.value for point in epochs)
    assert runs[0].data.metrics["validation_macro_recall"] == pytest.approx(best)


def test_mlflow_shows_the_experiment_as_machine_learning(trained, uri):
    """Without the tag its page opens on the traces of language models, of which there are none."""
    experiment = mlflow.MlflowClient(uri).get_experiment_by_name("sentiment")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_the_better_on_validation_is_champion_in_both_places(trained, uri, warehouse):
    best = max(trained.versions, key=lambda version: version.macro_recall)
    assert trained.decision.champion.version == best.version
    assert Registry(uri).champion("sentiment").version == best.version
    reported = rows_of(warehouse, "select model_version, reason from ml.champion")
    assert reported == [(best.version, trained.decision.reason)]


def test_the_same_again_makes_nothing_new(trained, uri, data, warehouse):
    before = rows_of(warehouse, "select * from ml.champion")
    reported = []
    again = train(
        uri, data=data, model_name="sentiment", warehouse_url=warehouse.url, report=reported.append
    )
    assert [v.version for v in again.versions] == [v.version for v in trained.versions]
    assert all(version.reused for version in again.versions)
    assert len(Registry(uri).versions("sentiment")) == 2
    assert not again.decision.changed
    assert rows_of(warehouse, "select * from ml.champion") == before
    assert not any("epoch" in line for line in reported)


def test_the_champion_is_loaded_as_any_pyfunc_model(trained, uri):
    mlflow.set_tracking_uri(uri)
    model = mlflow.pyfunc.load_model("models:/sentiment@champion")
    assert model.metadata.signature.inputs.input_names() == ["text"]
    answer = model.predict(pd.DataFrame({"text": ["so happy, thank you", "disgusting bins"]}))
    assert list(answer["label"]) == ["positive", "negative"]
    assert list(answer.columns) == model.metadata.signature.outputs.input_names()


def test_the_model_carries_its_code(trained, uri, place):
    """It answers where there is no checkout, as MLflow's own serving would have it."""
    mlflow.set_tracking_uri(uri)
    local = mlflow.artifacts.download_artifacts("models:/sentiment@champion")
    code = (
        "import sys, mlflow, pandas as pd\n"
        "sys.path = [p for p in sys.path if 'editable' not in p]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in str(f).lower()]\n"
        f"model = mlflow.pyfunc.load_model({local!r})\n"
        "print(model.predict(pd.DataFrame({'text': ['so happy']}))['label'][0])\n"
        "import ml; print(ml.__file__)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=place,
        env=environment,
        check=True,
    )
    label, file = done.stdout.split()
    assert label == "positive"
    assert Path(file).is_relative_to(local)


def test_new_feedback_is_scored_once(trained, uri, warehouse, feedback):
    report = score_new_feedback(warehouse.url, uri, batch_size=10)
    assert (report.scored, report.batches, report.already_scored) == (25, 3, 0)
    assert sum(report.by_sentiment.values()) == 25
    scores = rows_of(
        warehouse,
        "select feedback_id, sentiment, probability, p_negative, p_neutral, p_positive,"
        " model_version from ml.feedback_score order by 1",
    )
    assert len(scores) == 25
    wanted = {f"f{n:02}": ("negative", "neutral", "positive")[n % 3] for n in range(25)}
    for name, sentiment, probability, *three, version in scores:
        assert sentiment == wanted[name]
        assert probability == max(three) and sum(three) == pytest.approx(1)
        assert version == report.model_version
    again = score_new_feedback(warehouse.url, uri)
    assert (again.scored, again.already_scored) == (0, 25)


def test_a_corrected_comment_is_scored_again(trained, uri, warehouse, feedback):
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(
            "update marts.fct_feedback set text = 'disgusting bins' where feedback_id = 'f02'"
        )
        connection.execute("insert into marts.fct_feedback values ('demo', 'new', 'great crew')")
    assert score_new_feedback(warehouse.url, uri).scored == 2
    assert rows_of(
        warehouse,
        "select feedback_id, sentiment from ml.feedback_score"
        " where feedback_id in ('f02', 'new') order by 1",
    ) == [("f02", "negative"), ("new", "positive")]


def test_what_was_scored_before_a_failure_stays(trained, uri, warehouse, feedback):
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("delete from ml.feedback_score")
        connection.execute(
            "alter table ml.feedback_score add constraint stop check (feedback_id <> 'f20')"
        )
    try:
        with pytest.raises(psycopg.errors.CheckViolation):
            score_new_feedback(warehouse.url, uri, batch_size=1)
    finally:
        with psycopg.connect(warehouse.url) as connection:
            connection.execute("alter table ml.feedback_score drop constraint stop")
    kept = rows_of(warehouse, "select count(*) from ml.feedback_score")[0][0]
    assert 0 < kept < 26
    assert score_new_feedback(warehouse.url, uri).scored == 26 - kept


def test_two_scorers_at_once_wait_and_do_not_block_each_other(warehouse):
    """Each may read the marts in an order of its own, should dbt have built them in between."""
    ids = [f"both{n:04}" for n in range(1_000)]

    def write(names):
        many = len(names)
        row = (["demo"] * many, names, [""] * many, ["neutral"] * many, *[[0.5] * many] * 4)
        with psycopg.connect(warehouse.url) as connection:
            for _ in range(8):
                connection.execute(_WRITE, ("both", 1, *row))
                connection.commit()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, (ids, ids[::-1])))
    of_both = "from ml.feedback_score where model_name = 'both'"
    assert rows_of(warehouse, f"select count(*) {of_both}") == [(1_000,)]
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(f"delete {of_both}")


def test_a_new_champion_scores_all_anew_and_the_old_scores_stay(trained, uri, warehouse, feedback):
    """Somebody moves the alias in MLflow: scoring follows it, and says so in the warehouse."""
    registry = Registry(uri)
    old = trained.decision.champion
    other = next(v for v in trained.versions if v.version != old.version)
    registry.make_champion(other)
    try:
        assert score_new_feedback(warehouse.url, uri).scored == 26
        assert rows_of(
            warehouse,
            "select model_version, count(*) from ml.feedback_score group by 1 order by 1",
        ) == [(old.version, 26), (other.version, 26)]
        ((version, reason),) = rows_of(warehouse, "select model_version, reason from ml.champion")
        assert version == other.version
        assert reason.startswith(f"version {version} (") and reason.endswith("chosen in MLflow")
        # The rule puts the better one back.
        decision = promote(registry, "sentiment", trained.dataset.fingerprint, warehouse.url)
        assert decision.champion.version == old.version
    finally:
        registry.make_champion(old)
    assert rows_of(warehouse, "select model_version from ml.champion") == [(old.version,)]


def test_recall_is_reported_by_language_where_the_data_has_languages(uri, place):
    """VADER knows English only: a figure over all languages would hide that."""
    rows = [
        f"{split}\t{label}\t{language}\t{text} {street}"
        for split, street in (("train", "a"), ("train", "b"), ("validation", "c"), ("heldout", "d"))
        for label, texts in zip(LABELS, MOODS, strict=True)
        for text in texts
        for language in ("en", "es")
    ]
    folder = place / "languages"
    folder.mkdir()
    (folder / "ours.tsv").write_text("\n".join(["split\tsentiment\tlanguage\ttext", *rows]))
    reported = []
    trained = train(uri, data=folder, report=reported.append)
    assert trained.decision.champion.model_name == "sentiment-languages"
    for version in trained.versions:
        for split in ("validation", "heldout"):
            both = [version.metrics[f"{split}_macro_recall_{code}"] for code in ("en", "es")]
            # Here the languages hold the same texts.
            assert both == [pytest.approx(version.metrics[f"{split}_macro_recall"])] * 2
    lines = [line for line in reported if "by language: heldout en " in line]
    assert [line.partition(":")[0] for line in lines] == ["subword", "vader"]


def test_models_are_loaded_by_name_version_and_alias(trained, uri):
    champion = trained.decision.champion.version
    vader = trained.versions[1].version
    assert load_model(uri).version == champion
    assert load_model(uri, "models:/sentiment@champion").version == champion
    assert load_model(uri, f"models:/sentiment/{vader}").version == vader
    lines = [json.dumps({"id": n, "text": "so happy"}) for n in range(3)]
    answers = list(score_lines(load_model(uri), lines))
    assert [(a["id"], a["label"], a["model_version"]) for a in answers] == [
        (n, "positive", champion) for n in range(3)
    ]


def test_models_are_listed_beyond_mlflows_first_page(trained, uri):
    client = mlflow.MlflowClient(uri)
    for number in range(100):
        client.create_registered_model(f"a{number:03}")
    assert "sentiment" in {version.model_name for version in Registry(uri).versions()}


def test_what_does_not_exist_is_reported(trained, uri):
    with pytest.raises(RegistryError, match="has no champion; train one with `cityloom train`"):
        require_champion(Registry(uri), "nobody")
    with pytest.raises(RegistryError, match="nobody"):
        load_model(uri, "models:/nobody/1")
    with pytest.raises(RegistryError, match="names no version"):
        load_model(uri, "models:/sentiment")


def test_an_mlflow_that_is_down_is_reported(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=r"MLflow at http://127\.0\.0\.1:9"):
        Registry("http://127.0.0.1:9").versions()
