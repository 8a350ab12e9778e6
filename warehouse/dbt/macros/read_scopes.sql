{#- Generated from policy/. Which roles read which rows of a resource: all, or those of their territories, teams, own. -#}
{% macro read_scopes() -%}
    {{ return({
        'contacts.account': {
            'all': ['admin', 'auditor', 'service'],
            'territory': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent'],
            'team': ['sales_manager'],
            'own': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent'],
        },
        'contacts.contact': {
            'all': ['admin', 'auditor', 'service'],
            'territory': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent'],
            'team': ['sales_manager'],
            'own': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent'],
        },
        'finance.account_profile': {
            'all': ['admin', 'auditor', 'service'],
            'territory': ['accountant', 'analyst', 'sales_manager', 'sales_rep'],
            'team': ['sales_manager'],
            'own': ['accountant', 'analyst', 'sales_manager', 'sales_rep'],
        },
        'identity.team': {
            'all': ['admin', 'auditor', 'hr_officer', 'service'],
            'territory': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
            'team': ['sales_manager'],
            'own': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
        },
        'identity.territory': {
            'all': ['admin', 'auditor', 'hr_officer', 'service'],
            'territory': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
            'team': ['sales_manager'],
            'own': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
        },
        'identity.user_account': {
            'all': ['admin', 'auditor', 'hr_officer', 'service'],
            'territory': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
            'team': ['sales_manager'],
            'own': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
        },
        'inventory.product': {
            'all': ['admin', 'auditor', 'service'],
            'territory': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
            'team': ['sales_manager'],
            'own': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
        },
        'orders.sales_order': {
            'all': ['admin', 'auditor', 'service'],
            'territory': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
            'team': ['sales_manager'],
            'own': ['accountant', 'analyst', 'marketer', 'sales_manager', 'sales_rep', 'support_agent', 'warehouse_clerk'],
        },
    }) }}
{%- endmacro %}
