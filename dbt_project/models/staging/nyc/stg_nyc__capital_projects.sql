with newest as (
    {{ newest_version('nyc__capital_projects') }}
)

select
    maprojid as capital_project_id,
    lower(magencyacro) as department_id,
    magencyname as department_name,
    typecategory as category,
    totalplannedcommit as planned_amount,
    commit_total as committed_amount,
    spent_total as spent_amount,
    _load_id,
    _source_file,
    _source_row
from newest
