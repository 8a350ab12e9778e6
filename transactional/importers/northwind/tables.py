"""The files of Northwind that are read, with the columns used. Money and discounts are ``real`` in the source."""

from transactional.importers.sheets import CSV, DATE, INTEGER, REAL, TEXT, Sheet

REGION = Sheet("region", ("region_id",), {"region_id": INTEGER, "region_description": TEXT}, kind=CSV)
TERRITORY = Sheet(
    "territories",
    ("territory_id",),
    {"territory_id": TEXT, "territory_description": TEXT, "region_id": INTEGER},
    kind=CSV,
)
EMPLOYEE = Sheet(
    "employees",
    ("employee_id",),
    {"employee_id": INTEGER, "last_name": TEXT, "first_name": TEXT},
    {"title": TEXT, "reports_to": INTEGER},
    kind=CSV,
)
EMPLOYEE_TERRITORY = Sheet(
    "employee_territories",
    ("employee_id", "territory_id"),
    {"employee_id": INTEGER, "territory_id": TEXT},
    kind=CSV,
)
CATEGORY = Sheet("categories", ("category_id",), {"category_id": INTEGER, "category_name": TEXT}, kind=CSV)
PRODUCT = Sheet(
    "products",
    ("product_id",),
    {"product_id": INTEGER, "product_name": TEXT, "unit_price": REAL, "discontinued": INTEGER},
    {"category_id": INTEGER},
    kind=CSV,
)
_COMPANY = {"company_name": TEXT, "country": TEXT}
_COMPANY_DETAILS = dict.fromkeys(
    ("contact_name", "contact_title", "address", "city", "region", "postal_code", "phone"), TEXT
)
CUSTOMER = Sheet("customers", ("customer_id",), {"customer_id": TEXT, **_COMPANY}, _COMPANY_DETAILS, kind=CSV)
SUPPLIER = Sheet("suppliers", ("supplier_id",), {"supplier_id": INTEGER, **_COMPANY}, _COMPANY_DETAILS, kind=CSV)
SHIPPER = Sheet("shippers", ("shipper_id",), {"shipper_id": INTEGER, "company_name": TEXT}, kind=CSV)
ORDER = Sheet(
    "orders",
    ("order_id",),
    {"order_id": INTEGER, "customer_id": TEXT, "order_date": DATE, "freight": REAL, "ship_via": INTEGER},
    {
        "employee_id": INTEGER,
        "required_date": DATE,
        "shipped_date": DATE,
        **dict.fromkeys(
            ("ship_name", "ship_address", "ship_city", "ship_region", "ship_postal_code", "ship_country"), TEXT
        ),
    },
    kind=CSV,
)
ORDER_LINE = Sheet(
    "order_details",
    ("order_id", "product_id"),
    {"order_id": INTEGER, "product_id": INTEGER, "unit_price": REAL, "quantity": INTEGER, "discount": REAL},
    kind=CSV,
)

SHEETS = (
    REGION,
    TERRITORY,
    EMPLOYEE,
    EMPLOYEE_TERRITORY,
    CATEGORY,
    PRODUCT,
    CUSTOMER,
    SUPPLIER,
    SHIPPER,
    ORDER,
    ORDER_LINE,
)
