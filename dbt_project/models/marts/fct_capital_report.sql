select
    city_id,
    capital_report_id,
    capital_project_id,
    district_id,
    department_id,
    reported_on,
    budget_amount::numeric(18, 2) as budget_amount,
    committed_amount::numeric(18, 2) as committed_amount,
    spent_amount::numeric(18, 2) as spent_amount,
    planned_end_on,
    expected_end_on,
    expected_end_on - planned_end_on as days_late
from {{ within_as_of('capital_report') }} as capital_report
