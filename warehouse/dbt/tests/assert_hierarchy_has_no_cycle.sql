-- A path starts at a root. Where the parent of the first account still lives, the walk ended in a circle.
select
    account.account_uuid,
    account.hierarchy_path
from {{ ref('dim_account') }} as account
inner join {{ ref('dim_account') }} as root
    on account.root_account_uuid = root.account_uuid
inner join {{ ref('dim_account') }} as above
    on root.parent_account_uuid = above.account_uuid
