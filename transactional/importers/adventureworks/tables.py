"""The files of AdventureWorks that the sales side is read from, with the columns used."""

from transactional.importers.sheets import DATE, FLAG, INTEGER, MONEY, TEXT, Sheet

TERRITORY = Sheet(
    "Sales.SalesTerritory",
    ("TerritoryID",),
    {"TerritoryID": INTEGER, "Name": TEXT, "CountryRegionCode": TEXT, "Group": TEXT},
)
SALES_PERSON = Sheet(
    "Sales.SalesPerson", ("BusinessEntityID",), {"BusinessEntityID": INTEGER}, {"TerritoryID": INTEGER}
)
EMPLOYEE = Sheet(
    "HumanResources.Employee",
    ("BusinessEntityID",),
    {"BusinessEntityID": INTEGER, "LoginID": TEXT, "JobTitle": TEXT, "CurrentFlag": FLAG},
    {"OrganizationNode": TEXT},
)
PERSON = Sheet(
    "Person.Person",
    ("BusinessEntityID",),
    {"BusinessEntityID": INTEGER, "PersonType": TEXT, "FirstName": TEXT, "LastName": TEXT},
    {"Title": TEXT, "MiddleName": TEXT, "Suffix": TEXT},
)
EMAIL = Sheet(
    "Person.EmailAddress",
    ("BusinessEntityID", "EmailAddressID"),
    {"BusinessEntityID": INTEGER, "EmailAddressID": INTEGER},
    {"EmailAddress": TEXT},
)
PHONE = Sheet(
    "Person.PersonPhone",
    ("BusinessEntityID", "PhoneNumber", "PhoneNumberTypeID"),
    {"BusinessEntityID": INTEGER, "PhoneNumber": TEXT, "PhoneNumberTypeID": INTEGER},
)
CONTACT_ROLE = Sheet(
    "Person.BusinessEntityContact",
    ("BusinessEntityID", "PersonID", "ContactTypeID"),
    {"BusinessEntityID": INTEGER, "PersonID": INTEGER, "ContactTypeID": INTEGER},
)
CONTACT_TYPE = Sheet("Person.ContactType", ("ContactTypeID",), {"ContactTypeID": INTEGER, "Name": TEXT})
ADDRESS = Sheet(
    "Person.Address",
    ("AddressID",),
    {"AddressID": INTEGER, "AddressLine1": TEXT, "City": TEXT, "StateProvinceID": INTEGER, "PostalCode": TEXT},
    {"AddressLine2": TEXT},
)
STATE = Sheet(
    "Person.StateProvince",
    ("StateProvinceID",),
    {"StateProvinceID": INTEGER, "Name": TEXT, "CountryRegionCode": TEXT},
)
ADDRESS_USE = Sheet(
    "Person.BusinessEntityAddress",
    ("BusinessEntityID", "AddressID", "AddressTypeID"),
    {"BusinessEntityID": INTEGER, "AddressID": INTEGER, "AddressTypeID": INTEGER},
)
ADDRESS_TYPE = Sheet("Person.AddressType", ("AddressTypeID",), {"AddressTypeID": INTEGER, "Name": TEXT})
STORE = Sheet(
    "Sales.Store",
    ("BusinessEntityID",),
    {"BusinessEntityID": INTEGER, "Name": TEXT},
    {"SalesPersonID": INTEGER, "Demographics": TEXT},
)
CUSTOMER = Sheet(
    "Sales.Customer",
    ("CustomerID",),
    {"CustomerID": INTEGER, "TerritoryID": INTEGER},
    {"PersonID": INTEGER, "StoreID": INTEGER},
)
CATEGORY = Sheet("Production.ProductCategory", ("ProductCategoryID",), {"ProductCategoryID": INTEGER, "Name": TEXT})
SUBCATEGORY = Sheet(
    "Production.ProductSubcategory",
    ("ProductSubcategoryID",),
    {"ProductSubcategoryID": INTEGER, "ProductCategoryID": INTEGER, "Name": TEXT},
)
PRODUCT = Sheet(
    "Production.Product",
    ("ProductID",),
    {
        "ProductID": INTEGER,
        "Name": TEXT,
        "ProductNumber": TEXT,
        "StandardCost": MONEY,
        "ListPrice": MONEY,
        "SellStartDate": DATE,
    },
    {"Color": TEXT, "Size": TEXT, "ProductSubcategoryID": INTEGER, "SellEndDate": DATE},
)
PRICE = Sheet(
    "Production.ProductListPriceHistory",
    ("ProductID", "StartDate"),
    {"ProductID": INTEGER, "StartDate": DATE, "ListPrice": MONEY},
    {"EndDate": DATE},
)
CURRENCY_RATE = Sheet("Sales.CurrencyRate", ("CurrencyRateID",), {"CurrencyRateID": INTEGER, "ToCurrencyCode": TEXT})
SHIP_METHOD = Sheet("Purchasing.ShipMethod", ("ShipMethodID",), {"ShipMethodID": INTEGER, "Name": TEXT})
SPECIAL_OFFER = Sheet("Sales.SpecialOffer", ("SpecialOfferID",), {"SpecialOfferID": INTEGER, "Description": TEXT})
SALES_REASON = Sheet("Sales.SalesReason", ("SalesReasonID",), {"SalesReasonID": INTEGER, "Name": TEXT})
ORDER_REASON = Sheet(
    "Sales.SalesOrderHeaderSalesReason",
    ("SalesOrderID", "SalesReasonID"),
    {"SalesOrderID": INTEGER, "SalesReasonID": INTEGER},
)
ORDER = Sheet(
    "Sales.SalesOrderHeader",
    ("SalesOrderID",),
    {
        "SalesOrderID": INTEGER,
        "OrderDate": DATE,
        "DueDate": DATE,
        "Status": INTEGER,
        "OnlineOrderFlag": FLAG,
        "SalesOrderNumber": TEXT,
        "CustomerID": INTEGER,
        "BillToAddressID": INTEGER,
        "ShipToAddressID": INTEGER,
        "ShipMethodID": INTEGER,
        "SubTotal": MONEY,
        "TaxAmt": MONEY,
        "Freight": MONEY,
    },
    {
        "ShipDate": DATE,
        "PurchaseOrderNumber": TEXT,
        "SalesPersonID": INTEGER,
        "TerritoryID": INTEGER,
        "CurrencyRateID": INTEGER,
    },
)
ORDER_LINE = Sheet(
    "Sales.SalesOrderDetail",
    ("SalesOrderID", "SalesOrderDetailID"),
    {
        "SalesOrderID": INTEGER,
        "SalesOrderDetailID": INTEGER,
        "OrderQty": INTEGER,
        "ProductID": INTEGER,
        "SpecialOfferID": INTEGER,
        "UnitPrice": MONEY,
        "UnitPriceDiscount": MONEY,
    },
    {"CarrierTrackingNumber": TEXT},
)

SHEETS = (
    TERRITORY,
    SALES_PERSON,
    EMPLOYEE,
    PERSON,
    EMAIL,
    PHONE,
    CONTACT_ROLE,
    CONTACT_TYPE,
    ADDRESS,
    STATE,
    ADDRESS_USE,
    ADDRESS_TYPE,
    STORE,
    CUSTOMER,
    CATEGORY,
    SUBCATEGORY,
    PRODUCT,
    PRICE,
    CURRENCY_RATE,
    SHIP_METHOD,
    SPECIAL_OFFER,
    SALES_REASON,
    ORDER_REASON,
    ORDER,
    ORDER_LINE,
)
