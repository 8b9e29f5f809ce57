with newest as (
    {{ newest_version('nyc__district_population') }}
)

select
    boro_cd as district_id,
    b01001_001e::bigint as population,
    {{ median_of_brackets([
        ('dp03_0052e', 0, 10000),
        ('dp03_0053e', 10000, 15000),
        ('dp03_0054e', 15000, 25000),
        ('dp03_0055e', 25000, 35000),
        ('dp03_0056e', 35000, 50000),
        ('dp03_0057e', 50000, 75000),
        ('dp03_0058e', 75000, 100000),
        ('dp03_0059e', 100000, 150000),
        ('dp03_0060e', 150000, 200000),
        ('dp03_0061e', 200000, none),
    ]) }} as median_household_income,
    _load_id,
    _source_file,
    _source_row
from newest
