"""What people call the fields of each target in the headers of their files."""

from __future__ import annotations

ADDRESS = {
    "line1": "address street address1 address_1 address_line1 address_line_1 street_address strasse",
    "line2": "address2 address_2 address_line2 address_line_2",
    "city": "city town ort stadt ville",
    "region": "region state province county state_province",
    "postal_code": "postal_code zip zip_code zipcode postcode post_code plz",
    "country": "country country_code country_name nation office_location location headquarters land pays",
}

_SCOPE = {
    "owner_id": "owner sales_agent salesperson sales_person account_manager rep sales_rep agent employee_id",
    "team_id": "team team_id",
    "territory_id": "territory territory_id regional_office sales_region",
}

FIELDS: dict[str, dict[str, str]] = {
    "accounts": {
        "name": "account account_name company company_name customer customer_name organisation organization client"
        " client_name business_name supplier_name vendor_name firma name",
        "account_type": "account_type customer_type type",
        "status": "status account_status",
        "industry": "industry sector branch vertical branche",
        "annual_revenue": "annual_revenue revenue turnover yearly_revenue umsatz",
        "currency": "currency currency_code waehrung",
        "parent_id": "parent parent_id parent_account parent_company subsidiary_of holding",
        **{f"billing_address.{part}": words for part, words in ADDRESS.items()},
        **_SCOPE,
    },
    "contacts": {
        "first_name": "first_name firstname given_name forename vorname prenom first",
        "last_name": "last_name lastname surname family_name nachname nom last contact_name full_name name",
        "title": "salutation title courtesy title_of_courtesy anrede",
        "email": "email e_mail email_address mail",
        "phone": "phone phone_number telephone mobile tel phone1 telefon",
        "job_title": "job_title job position function contact_title role occupation",
        "account_uuid": "account account_id company company_name company_id customer customer_id employer organisation"
        " organization organization_id",
        **_SCOPE,
    },
    "products": {
        "sku": "sku product_number product_code item_number item_no article article_no code stock_code part_number"
        " product_id item_id",
        "name": "product product_name name title item description item_name artikel",
        "category_id": "category category_id product_category series product_line department",
        "color": "color colour farbe",
        "size": "size",
        "standard_cost": "cost standard_cost unit_cost purchase_price",
        "list_price": "price list_price sales_price unit_price retail_price msrp preis",
        "currency": "currency currency_code",
        "sell_start": "sell_start sell_start_date available_from launched",
        "sell_end": "sell_end sell_end_date discontinued_date available_until",
    },
    "product-categories": {
        "name": "category category_name name series product_category",
        "parent_id": "parent parent_id parent_category",
    },
    "sales-orders": {
        "order_number": "order_number order_no order_id invoice invoice_no invoice_number opportunity_id order",
        "account_uuid": "account account_id customer customer_id company client customer_name company_name",
        "status": "status order_status deal_stage stage",
        "channel": "channel sales_channel",
        "order_date": "order_date orderdate date purchase_date invoice_date close_date ordered_at",
        "due_date": "due_date required_date",
        "ship_date": "ship_date shipped_date shipping_date shipped_at",
        "currency": "currency currency_code",
        "tax_amount": "tax tax_amount vat",
        "freight": "freight shipping shipping_cost delivery_cost",
        "shipping_method": "shipping_method ship_mode carrier ship_via",
        "purchase_order_number": "purchase_order po po_number purchase_order_number",
        **{f"shipping_address.{part}": words for part, words in ADDRESS.items()},
        **_SCOPE,
    },
    "users": {
        "username": "username user_name login user",
        "display_name": "display_name name full_name sales_agent employee employee_name",
        "email": "email e_mail email_address mail",
        "team_id": "team team_id manager",
    },
    "teams": {"name": "team team_name name", "parent_id": "parent parent_id parent_team"},
    "territories": {
        "name": "territory territory_name territory_description name",
        "country_code": "country country_code",
        "group_name": "group group_name region region_name",
    },
}

LISTS: dict[str, dict[str, dict[str, str]]] = {
    "sales-orders": {
        "lines": {
            "product_id": "product product_id sku item item_id stock_code product_code productcode article",
            "quantity": "quantity qty units quantityordered quantity_ordered count menge cds",
            "unit_price": "unit_price unitprice price price_each priceeach close_value amount",
            "discount": "discount discount_pct discount_percent rebate",
            "line_no": "line line_no line_number position orderlinenumber order_line_number",
        }
    }
}

FILES: dict[str, str] = {
    "accounts": "account customer client company organization supplier vendor",
    "contacts": "contact person people lead",
    "products": "product item article",
    "product-categories": "category categories",
    "sales-orders": "order sale pipeline opportunity deal invoice transaction",
    "users": "user employee staff agent",
    "teams": "team",
    "territories": "territory territories region",
}
"""Words in a file's name."""
