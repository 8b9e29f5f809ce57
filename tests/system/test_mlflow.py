"""MLflow's pages as a person meets them: no telemetry, no assistant, runs and not traces."""

import httpx
from playwright.sync_api import expect, sync_playwright

from dashboards.chromium import ensure


def test_experiment_is_one_of_machine_learning(stack, demo):
    deployment = stack.deployment
    answer = httpx.get(
        f"{deployment.url('mlflow')}/api/2.0/mlflow/experiments/get-by-name",
        params={"experiment_name": "sentiment"},
        auth=deployment.login("mlflow"),
        trust_env=False,
    )
    tags = {tag["key"]: tag["value"] for tag in answer.json()["experiment"]["tags"]}
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_pages_show_no_telemetry_and_no_assistant_and_open_on_runs(stack, demo):
    deployment = stack.deployment
    user, password = deployment.login("mlflow")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(ensure()), args=["--no-sandbox", "--no-proxy-server"]
        )
        context = browser.new_context(http_credentials={"username": user, "password": password})
        page = context.new_page()
        page.set_default_timeout(120_000)
        expect.set_options(timeout=120_000)
        page.goto(deployment.url("mlflow"))
        expect(page.get_by_text("Welcome to MLflow")).to_be_visible()
        expect(page.get_by_text("MLflow collects usage data")).to_have_count(0)
        expect(page.get_by_text("MLflow Assistant").locator("visible=true")).to_have_count(0)
        expect(page.locator("button[data-assistant-ui]")).to_be_hidden()
        page.goto(f"{deployment.url('mlflow')}/#/experiments")
        page.get_by_role("link", name="sentiment", exact=True).first.click()
        expect(page.get_by_text("subword").first).to_be_visible()
        assert "/traces" not in page.url
        browser.close()
