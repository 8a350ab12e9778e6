"""The lists there are. Mirrors give what is fresh to the last landed batch, marts the totals."""

from __future__ import annotations

from bi.lists.columns import Column, Kind, Listing

_OWNER = "left join staging.stg_identity__user_account as owner on {0}.owner_id = owner.user_id"
_TERRITORY = "left join staging.stg_identity__territory as territory on {0}.territory_id = territory.territory_id"
_FINANCE = "finance.account_profile.read"
_SALES = "orders.sales_order.read"

ACCOUNTS = Listing(
    name="accounts",
    object_type="contacts.account",
    tables="staging.stg_contacts__account as account"
    " left join reporting.c360_account as totals on account.account_uuid = totals.account_uuid"
    f" {_OWNER.format('account')} {_TERRITORY.format('account')}",
    key="account.account_uuid",
    columns=(
        Column("name", "Name", "account.account_name", known=True),
        Column("number", "Number", "account.account_number"),
        Column(
            "type",
            "Type",
            "account.account_type",
            Kind.CHOICE,
            choices=("Customer", "Vendor", "Partner", "Prospect"),
        ),
        Column("status", "Status", "account.account_status", Kind.CHOICE, choices=("Active", "Inactive", "On Hold")),
        Column("industry", "Industry", "account.industry"),
        Column("city", "City", "account.billing_address ->> 'city'"),
        Column("country", "Country", "account.billing_address ->> 'country'"),
        Column("territory", "Territory", "territory.territory_name"),
        Column("owner", "Owner", "owner.display_name"),
        Column("revenue", "Annual revenue", "account.annual_revenue", Kind.MONEY),
        Column("orders", "Orders", "totals.order_count", Kind.NUMBER, total=True, permission=_SALES),
        Column("sales", "Sales", "totals.lifetime_line_net", Kind.MONEY, total=True, permission=_SALES),
        Column("last_order", "Last order", "totals.last_order_date", Kind.DAY, permission=_SALES),
        Column("balance", "Balance", "totals.balance_due", Kind.MONEY, total=True, permission=_FINANCE),
        Column("credit", "Credit left", "totals.credit_available", Kind.MONEY, permission=_FINANCE),
        Column("terms", "Payment terms", "totals.payment_terms", permission=_FINANCE),
        Column("created", "Created", "account.created_at", Kind.MOMENT),
        Column("changed", "Changed", "account.updated_at", Kind.MOMENT),
    ),
    shown=("name", "number", "type", "status", "industry", "sales", "last_order", "balance"),
    sort="name",
    matched=("account.account_name", "account.account_number"),
    currency="account.currency",
    mine="account.owner_id",
)

CONTACTS = Listing(
    name="contacts",
    object_type="contacts.contact",
    tables="staging.stg_contacts__contact as contact"
    " left join staging.stg_contacts__account as account on contact.account_uuid = account.account_uuid"
    f" {_OWNER.format('contact')} {_TERRITORY.format('contact')}",
    key="contact.contact_id",
    columns=(
        Column("name", "Name", "concat_ws(' ', contact.first_name, contact.last_name)"),
        Column("last_name", "Last name", "contact.last_name", known=True),
        Column("job", "Job title", "contact.job_title"),
        Column("account", "Account", "account.account_name", names="contacts.account", key_sql="account.account_uuid"),
        Column("email", "Email", "contact.email"),
        Column("phone", "Phone", "contact.phone"),
        Column("territory", "Territory", "territory.territory_name"),
        Column("owner", "Owner", "owner.display_name"),
        Column("created", "Created", "contact.created_at", Kind.MOMENT),
        Column("changed", "Changed", "contact.updated_at", Kind.MOMENT),
    ),
    shown=("name", "job", "account", "email", "phone", "territory"),
    sort="last_name",
    matched=("concat_ws(' ', contact.first_name, contact.last_name)", "contact.email", "contact.phone"),
    mine="contact.owner_id",
)

ORDERS = Listing(
    name="orders",
    object_type="orders.sales_order",
    tables="staging.stg_orders__sales_order as sales_order"
    " left join staging.stg_contacts__account as account on sales_order.account_uuid = account.account_uuid"
    f" {_OWNER.format('sales_order')} {_TERRITORY.format('sales_order')}",
    key="sales_order.order_id",
    columns=(
        Column("number", "Number", "sales_order.order_number"),
        Column("account", "Account", "account.account_name", names="contacts.account", key_sql="account.account_uuid"),
        Column("account_number", "Account number", "account.account_number"),
        Column(
            "status",
            "Status",
            "sales_order.order_status",
            Kind.CHOICE,
            choices=("draft", "confirmed", "shipped", "closed", "cancelled"),
        ),
        Column("channel", "Channel", "sales_order.channel", Kind.CHOICE, choices=("online", "reseller", "direct")),
        Column("ordered", "Ordered", "sales_order.order_date", Kind.DAY, known=True),
        Column("due", "Due", "sales_order.due_date", Kind.DAY),
        Column("shipped", "Shipped", "sales_order.ship_date", Kind.DAY),
        Column("purchase_order", "Their number", "sales_order.purchase_order_number"),
        Column("net", "Net", "sales_order.sub_total", Kind.MONEY, total=True),
        Column(
            "total",
            "Total",
            "sales_order.sub_total + sales_order.tax_amount + sales_order.freight",
            Kind.MONEY,
            total=True,
        ),
        Column("territory", "Territory", "territory.territory_name"),
        Column("owner", "Owner", "owner.display_name"),
        Column("changed", "Changed", "sales_order.updated_at", Kind.MOMENT),
    ),
    shown=("number", "account", "status", "channel", "ordered", "due", "net", "total"),
    sort="-ordered",
    matched=("sales_order.order_number", "account.account_name", "sales_order.purchase_order_number"),
    currency="sales_order.currency",
    mine="sales_order.owner_id",
)

PRODUCTS = Listing(
    name="products",
    object_type="inventory.product",
    tables="staging.stg_inventory__product as product"
    " left join marts.dim_product as placed on product.product_id = placed.product_id",
    key="product.product_id",
    columns=(
        Column("name", "Name", "product.product_name", known=True),
        Column("sku", "SKU", "product.sku"),
        Column("category", "Category", "placed.category_path"),
        Column("group", "Group", "placed.root_category_name"),
        Column("colour", "Colour", "product.color"),
        Column("size", "Size", "product.size"),
        Column("price", "List price", "product.list_price", Kind.MONEY),
        Column("on_sale", "On sale", "product.is_active", Kind.YES_NO),
        Column("from", "Sold from", "product.sell_start", Kind.DAY),
        Column("until", "Sold until", "product.sell_end", Kind.DAY),
        Column("changed", "Changed", "product.updated_at", Kind.MOMENT),
    ),
    shown=("name", "sku", "category", "colour", "size", "price", "on_sale"),
    sort="name",
    matched=("product.product_name", "product.sku"),
    currency="product.currency",
)

LISTINGS = {listing.name: listing for listing in (ACCOUNTS, CONTACTS, ORDERS, PRODUCTS)}
