from pathlib import Path

import pytest

from dashboards.relations import MissingDoc, documented


@pytest.fixture
def dbt(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "marts"
    folder.mkdir(parents=True)
    (folder / "columns.md").write_text(
        "{% docs city_id %}\nCity, by the name\nof its folder\n{% enddocs %}\n"
        "{%- docs n -%} How many {%- enddocs -%}\n"
    )
    (folder / "fct.yml").write_text(
        "models:\n"
        "  - name: fct\n"
        "    description: Facts\n"
        "    columns:\n"
        """      - {name: city_id, description: "{{ doc('city_id') }}"}\n"""
        """      - {name: n, description: '{{ doc("cityloom", "n") }}; null below ten'}\n"""
        "      - {name: plain}\n"
    )
    return tmp_path


def test_doc_blocks_stand_in_place_of_their_names(dbt: Path):
    relation = documented(dbt)["marts.fct"]
    assert relation.description == "Facts"
    assert relation.columns == {
        "city_id": "City, by the name of its folder",
        "n": "How many; null below ten",
        "plain": "",
    }


def test_a_doc_block_that_is_not_there(dbt: Path):
    (dbt / "models/marts/columns.md").write_text("")
    with pytest.raises(MissingDoc, match=r"fct.yml: .*no Markdown file.*'city_id'; add it"):
        documented(dbt)


def test_every_description_of_the_project_is_resolved():
    for relation in documented().values():
        for text in (relation.description, *relation.columns.values()):
            assert "{{" not in text, relation.name
