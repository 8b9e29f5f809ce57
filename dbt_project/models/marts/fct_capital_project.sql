select
    project.city_id,
    project.capital_project_id,
    project.department_id,
    department.department_name,
    project.category,
    project.planned_amount::numeric(18, 2) as planned_amount,
    project.committed_amount::numeric(18, 2) as committed_amount,
    project.spent_amount::numeric(18, 2) as spent_amount
from {{ ref('int_capital_project') }} as project
left join {{ ref('dim_department') }} as department
    on
        project.city_id = department.city_id
        and project.department_id = department.department_id
