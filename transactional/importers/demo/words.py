"""The words that the demo company's people, customers and goods are named with."""

# ruff: noqa: SIM905 (a list of words is read as words)

GIVEN_NAMES = """
Ada Adam Aisha Akira Alba Alejandro Alma Amara Amir Ana Anders Anika Anton Aoife Arjun Astrid Aurora Ayo Beatriz Ben
Bianca Björn Bruno Camille Carla Carlos Cecilia Chen Chiara Chloe Clara Daniel Daria David Deepa Diego Eilidh Elena
Eli Elif Emeka Emil Emma Erik Esther Eva Farah Felix Fiona Florian Freya Gabriel Giulia Grace Greta Hana Hannah Hassan
Helena Hugo Ibrahim Ines Ingrid Irina Isaac Isla Ivan Jakob James Jana Jasper Jia João Jonas Joy Julia Kai Karim
Katarina Kenji Kofi Lara Lars Laura Lea Leila Leo Liam Lina Linnea Louis Lucia Luka Maeve Magnus Maja Malik Marco
Maria Marta Mateo Matilda Max Maya Mei Mia Milan Mina Mira Mohammed Nadia Naomi Nia Nikolai Nina Noah Noor Nora Oliver
Olga Omar Oscar Owen Paula Pedro Petra Priya Rafael Ravi Renée Rosa Ruth Samir Sana Sara Sean Selma Sofia Soren Stella
Sven Tadeo Tara Teresa Theo Thomas Tobias Tomás Uma Valeria Victor Viktoria Wei William Xavier Yara Yasmin Yuki Yusuf
Zara Zoe
""".split()

FAMILY_NAMES = """
Abadi Adeyemi Almeida Andersen Aoki Bakker Balogun Banerjee Barros Bauer Becker Bell Berg Bianchi Blanc Boateng Bonnet
Brandt Brennan Brooks Bruun Byrne Campbell Carter Castillo Chan Chaudhry Chen Cohen Cole Costa Cruz Dahl Das Delgado
Diaz Dubois Duncan Dvořák Eriksen Eze Farouk Ferrari Fischer Fischbach Flores Fontaine Forsberg Foster Fraser Fuchs
Gallagher Garcia Girard Gomes Gonçalves Graham Grant Greco Gupta Haddad Hansen Hayes Hoffmann Holm Horvat Huang Hughes
Ibarra Ito Jansen Jensen Johansson Jovanović Kaur Keller Kelly Kim Klein Kowalski Krause Kumar Lambert Larsen Laurent
Lehmann Lewis Li Lindgren Lombardi Lopez Lund Macleod Maier Mancini Marchetti Martin Martinez Mbeki Meier Mendes Meyer
Moore Morales Moreau Morgan Moretti Müller Murphy Nakamura Navarro Nguyen Nielsen Novák Nowak Nwosu O'Brien Okafor
Olsen Ortiz Osei Park Patel Pereira Petersen Petit Popescu Price Quinn Ramirez Rao Reed Reyes Ricci Richter Rivera
Rossi Roux Ruiz Russo Ryan Saito Salazar Sanders Santos Sato Schmidt Schneider Schwarz Shah Sharma Silva Simon Singh
Soto Stewart Sullivan Suzuki Svensson Takahashi Tan Torres Tran Turner Vargas Vega Virtanen Vogel Wagner Walker Wang
Watanabe Weber White Wilson Wolf Wong Wright Wu Yamamoto Yang Yilmaz Young Zhang Zimmermann
""".split()

COMPANY_FIRST = """
Alder Amber Anchor Arbour Argent Ashford Aspen Atlas Beacon Birch Blackwater Bluebell Bridgeton Bright Brook Canyon
Cardinal Cascade Cedar Chestnut Cobalt Compass Copper Coral Crest Crown Delta Dover Eagle Eastgate Ember Evergreen
Falcon Fern Fjord Foxglove Garnet Glacier Golden Granite Greenfield Halcyon Harbour Hawthorn Hazel Heron Hillcrest
Horizon Indigo Ironwood Ivory Jade Juniper Kestrel Keystone Lakeside Lantern Larch Laurel Linden Lodestar Longview
Lumen Magnolia Maple Marble Meadow Meridian Mill Minster Monarch Mosaic Mulberry Northstar Oakridge Obsidian Olive
Onyx Orchard Osprey Pacific Palisade Pearl Pembroke Pine Pinnacle Polar Poplar Prairie Quarry Quartz Quill Raven
Redwood Ridge River Rowan Saffron Sage Sapphire Sequoia Silver Slate Solstice Spruce Starling Sterling Stone Summit
Sycamore Tamarack Tern Thistle Timber Topaz Trident Union Valley Vantage Verdant Vista Walnut Waterford Westbrook
Whitestone Wildwood Willow Winter Yew Zenith
""".split()

COMPANY_LAST: dict[str, tuple[str, ...]] = {
    "Manufacturing": ("Works", "Fabrication", "Precision", "Metals", "Components", "Machining"),
    "Construction": ("Builders", "Construction", "Contracting", "Homes", "Civil"),
    "Healthcare": ("Clinic", "Health", "Medical", "Care Group", "Diagnostics"),
    "Education": ("College", "Academy", "School", "Institute", "University Press"),
    "Hospitality": ("Hotels", "Kitchens", "Catering", "Resorts", "Café Group"),
    "Logistics": ("Freight", "Logistics", "Shipping", "Couriers", "Warehousing"),
    "Retail": ("Stores", "Trading", "Outfitters", "Market", "Goods"),
    "Professional services": ("Partners", "Associates", "Consulting", "Advisers", "Legal"),
    "Technology": ("Systems", "Software", "Networks", "Labs", "Robotics"),
    "Public sector": ("County Council", "District", "Housing Trust", "Water Board", "Library Service"),
}

STREETS = """
Alder Birch Bridge Canal Castle Cherry Church College Court Dock Elm Factory Field Forge Garden Grange Harbour High
Hill Industrial Kiln King Lake Lime Main Market Mason Meadow Mill Mint Museum North Oak Orchard Park Queen Quay
Railway River School Ship South Spring Station Summer Tanner Temple Tower Union Victoria Water Weaver West Wharf
Willow Windmill
""".split()

# name, country, group, phone prefix, sales tax in percent, currency, ((city, region, postal code pattern), …)
TERRITORIES = (
    ("New England", "US", "North America", "+1 617 555", 6, "USD",
     (("Boston", "Massachusetts", "021##"), ("Hartford", "Connecticut", "061##"), ("Albany", "New York", "122##"),
      ("Providence", "Rhode Island", "029##"), ("Portland", "Maine", "041##"))),
    ("Midwest", "US", "North America", "+1 312 555", 6, "USD",
     (("Chicago", "Illinois", "606##"), ("Columbus", "Ohio", "432##"), ("Madison", "Wisconsin", "537##"),
      ("Des Moines", "Iowa", "503##"), ("Saint Paul", "Minnesota", "551##"))),
    ("West Coast", "US", "North America", "+1 503 555", 7, "USD",
     (("Portland", "Oregon", "972##"), ("Oakland", "California", "946##"), ("Tacoma", "Washington", "984##"),
      ("Boise", "Idaho", "837##"), ("Tucson", "Arizona", "857##"))),
    ("All Canada", "CA", "North America", "+1 416 555", 5, "CAD",
     (("Toronto", "Ontario", "M5H #A#"), ("Halifax", "Nova Scotia", "B3J #K#"), ("Calgary", "Alberta", "T2P #J#"))),
    ("British Isles", "GB", "Europe", "+44 20 7946", 20, "GBP",
     (("Leeds", "England", "LS1 #AB"), ("Bristol", "England", "BS1 #CD"), ("Edinburgh", "Scotland", "EH1 #EF"),
      ("Cardiff", "Wales", "CF10 #GH"))),
    ("Deutschland", "DE", "Europe", "+49 30 23125", 19, "EUR",
     (("Hamburg", "Hamburg", "200##"), ("Leipzig", "Sachsen", "041##"), ("München", "Bayern", "803##"),
      ("Köln", "Nordrhein-Westfalen", "506##"))),
    ("Nordics", "SE", "Europe", "+46 8 463 90", 25, "EUR",
     (("Göteborg", "Västra Götaland", "411 ##"), ("Malmö", "Skåne", "211 ##"), ("Uppsala", "Uppsala", "753 ##"))),
    ("Oceania", "AU", "Asia-Pacific", "+61 2 5550", 10, "AUD",
     (("Newcastle", "New South Wales", "23##"), ("Geelong", "Victoria", "32##"),
      ("Fremantle", "Western Australia", "61##"))),
)  # fmt: skip

ROLES_AT_CUSTOMERS = (
    "Purchasing Manager", "Office Manager", "Operations Lead", "Facilities Manager", "Chief Financial Officer",
    "Warehouse Supervisor", "Owner", "Procurement Analyst", "Workshop Foreman", "Head of IT",
)  # fmt: skip

# category: (subcategory, ((product, cost in USD, list price in USD, popularity), ...))
CATALOGUE: dict[str, tuple[tuple[str, tuple[tuple[str, int, int, int], ...]], ...]] = {
    "Furniture": (
        ("Desks", (("Fjell Desk", 142, 289, 6), ("Fjell Standing Desk", 265, 549, 7), ("Corner Desk", 171, 349, 3))),
        ("Chairs", (("Task Chair", 74, 159, 9), ("Mesh Chair", 118, 249, 8), ("Draughtsman Stool", 52, 119, 3))),
        ("Storage", (("Filing Cabinet", 88, 179, 5), ("Locker Bank", 201, 399, 3), ("Shelf Unit", 47, 99, 7))),
    ),
    "Workshop": (
        ("Benches", (("Workbench", 190, 399, 5), ("Mobile Bench", 228, 479, 4), ("Bench Vice", 61, 129, 6))),
        ("Hand tools", (("Socket Set", 39, 89, 9), ("Screwdriver Set", 14, 34, 10), ("Torque Wrench", 66, 149, 5))),
        ("Power tools", (("Drill Driver", 83, 179, 9), ("Angle Grinder", 58, 129, 6), ("Bench Saw", 247, 529, 2))),
    ),
    "Safety": (
        ("Protection", (("Safety Helmet", 9, 22, 10), ("Work Gloves", 3, 9, 14), ("Safety Boots", 41, 94, 8))),
        ("First aid", (("First Aid Kit", 17, 39, 7), ("Eyewash Station", 46, 99, 2), ("Defibrillator", 640, 1290, 1))),
    ),
    "Handling": (
        ("Trucks", (("Pallet Truck", 214, 449, 4), ("Hand Truck", 48, 109, 6), ("Platform Cart", 97, 209, 4))),
        ("Packing", (("Stretch Film", 11, 26, 12), ("Packing Tape", 2, 6, 15), ("Shipping Box", 1, 4, 15))),
    ),
    "Cleaning": (
        ("Machines", (("Floor Scrubber", 890, 1790, 1), ("Wet Vacuum", 158, 329, 4), ("Pressure Washer", 205, 429, 3))),
        ("Supplies", (("Degreaser", 6, 15, 11), ("Absorbent Pads", 13, 31, 8), ("Paper Towels", 10, 24, 13))),
    ),
}  # fmt: skip

VARIANTS = (
    ("Basic", "BAS", "Grey", 0.82),
    ("Standard", "STD", "Blue", 1.0),
    ("Professional", "PRO", "Black", 1.38),
    ("Heavy Duty", "HVY", "Yellow", 1.74),
)
"""Every product comes in these: name, part of the SKU, colour, factor on cost and price."""
