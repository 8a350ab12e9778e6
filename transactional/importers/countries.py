"""Countries by the names that files use, as ISO 3166-1 alpha-2 codes.

Source: ISO 3166-1 (codes, English short names without the formal parts), and other names in common use.
"""

from __future__ import annotations

import unicodedata
from difflib import get_close_matches

_NAMES = """
AD Andorra|AE United Arab Emirates|AF Afghanistan|AG Antigua and Barbuda|AI Anguilla|AL Albania|AM Armenia|AO Angola
AQ Antarctica|AR Argentina|AS American Samoa|AT Austria|AU Australia|AW Aruba|AX Åland Islands|AZ Azerbaijan
BA Bosnia and Herzegovina|BB Barbados|BD Bangladesh|BE Belgium|BF Burkina Faso|BG Bulgaria|BH Bahrain|BI Burundi
BJ Benin|BL Saint Barthélemy|BM Bermuda|BN Brunei Darussalam|BO Bolivia|BQ Bonaire, Sint Eustatius and Saba|BR Brazil
BS Bahamas|BT Bhutan|BV Bouvet Island|BW Botswana|BY Belarus|BZ Belize|CA Canada|CC Cocos (Keeling) Islands
CD Democratic Republic of the Congo|CF Central African Republic|CG Congo|CH Switzerland|CI Côte d'Ivoire
CK Cook Islands|CL Chile|CM Cameroon|CN China|CO Colombia|CR Costa Rica|CU Cuba|CV Cabo Verde|CW Curaçao
CX Christmas Island|CY Cyprus|CZ Czechia|DE Germany|DJ Djibouti|DK Denmark|DM Dominica|DO Dominican Republic
DZ Algeria|EC Ecuador|EE Estonia|EG Egypt|EH Western Sahara|ER Eritrea|ES Spain|ET Ethiopia|FI Finland|FJ Fiji
FK Falkland Islands|FM Micronesia|FO Faroe Islands|FR France|GA Gabon|GB United Kingdom|GD Grenada|GE Georgia
GF French Guiana|GG Guernsey|GH Ghana|GI Gibraltar|GL Greenland|GM Gambia|GN Guinea|GP Guadeloupe
GQ Equatorial Guinea|GR Greece|GS South Georgia and the South Sandwich Islands|GT Guatemala|GU Guam|GW Guinea-Bissau
GY Guyana|HK Hong Kong|HM Heard Island and McDonald Islands|HN Honduras|HR Croatia|HT Haiti|HU Hungary|ID Indonesia
IE Ireland|IL Israel|IM Isle of Man|IN India|IO British Indian Ocean Territory|IQ Iraq|IR Iran|IS Iceland|IT Italy
JE Jersey|JM Jamaica|JO Jordan|JP Japan|KE Kenya|KG Kyrgyzstan|KH Cambodia|KI Kiribati|KM Comoros
KN Saint Kitts and Nevis|KP North Korea|KR South Korea|KW Kuwait|KY Cayman Islands|KZ Kazakhstan|LA Laos|LB Lebanon
LC Saint Lucia|LI Liechtenstein|LK Sri Lanka|LR Liberia|LS Lesotho|LT Lithuania|LU Luxembourg|LV Latvia|LY Libya
MA Morocco|MC Monaco|MD Moldova|ME Montenegro|MF Saint Martin|MG Madagascar|MH Marshall Islands|MK North Macedonia
ML Mali|MM Myanmar|MN Mongolia|MO Macao|MP Northern Mariana Islands|MQ Martinique|MR Mauritania|MS Montserrat
MT Malta|MU Mauritius|MV Maldives|MW Malawi|MX Mexico|MY Malaysia|MZ Mozambique|NA Namibia|NC New Caledonia|NE Niger
NF Norfolk Island|NG Nigeria|NI Nicaragua|NL Netherlands|NO Norway|NP Nepal|NR Nauru|NU Niue|NZ New Zealand|OM Oman
PA Panama|PE Peru|PF French Polynesia|PG Papua New Guinea|PH Philippines|PK Pakistan|PL Poland
PM Saint Pierre and Miquelon|PN Pitcairn|PR Puerto Rico|PS Palestine|PT Portugal|PW Palau|PY Paraguay|QA Qatar
RE Réunion|RO Romania|RS Serbia|RU Russia|RW Rwanda|SA Saudi Arabia|SB Solomon Islands|SC Seychelles|SD Sudan
SE Sweden|SG Singapore|SH Saint Helena, Ascension and Tristan da Cunha|SI Slovenia|SJ Svalbard and Jan Mayen
SK Slovakia|SL Sierra Leone|SM San Marino|SN Senegal|SO Somalia|SR Suriname|SS South Sudan|ST Sao Tome and Principe
SV El Salvador|SX Sint Maarten|SY Syria|SZ Eswatini|TC Turks and Caicos Islands|TD Chad
TF French Southern Territories|TG Togo|TH Thailand|TJ Tajikistan|TK Tokelau|TL Timor-Leste|TM Turkmenistan
TN Tunisia|TO Tonga|TR Türkiye|TT Trinidad and Tobago|TV Tuvalu|TW Taiwan|TZ Tanzania|UA Ukraine|UG Uganda
UM United States Minor Outlying Islands|US United States|UY Uruguay|UZ Uzbekistan|VA Holy See
VC Saint Vincent and the Grenadines|VE Venezuela|VG British Virgin Islands|VI U.S. Virgin Islands|VN Vietnam
VU Vanuatu|WF Wallis and Futuna|WS Samoa|YE Yemen|YT Mayotte|ZA South Africa|ZM Zambia|ZW Zimbabwe
"""
_OTHER_NAMES = """
US USA|US U.S.A.|US U.S.|US United States of America|US America|GB UK|GB U.K.|GB Great Britain|GB Britain|GB England
GB Scotland|GB Wales|GB Northern Ireland|NL Holland|NL The Netherlands|KR Korea|KR Republic of Korea
KP Democratic People's Republic of Korea|CZ Czech Republic|TR Turkey|VN Viet Nam|RU Russian Federation
IR Islamic Republic of Iran|SY Syrian Arab Republic|LA Lao People's Democratic Republic|BO Plurinational Bolivia
VE Bolivarian Republic of Venezuela|TZ United Republic of Tanzania|MD Republic of Moldova|CI Ivory Coast
CV Cape Verde|SZ Swaziland|MK Macedonia|MM Burma|TL East Timor|VA Vatican City|AE UAE|BN Brunei|MO Macau
CN People's Republic of China|CG Republic of the Congo|CD DR Congo|PS State of Palestine|DE Deutschland|AT Österreich
CH Schweiz|CH Suisse|ES España|IT Italia|BR Brasil|MX México|BE Belgique|BE België|SE Sverige|NO Norge|DK Danmark
FI Suomi|PL Polska|JP Nippon
"""


def _entries(text: str) -> list[tuple[str, str]]:
    entries = text.replace("\n", "|").split("|")
    return [(entry[3:], entry[:2]) for entry in entries if entry]


def _plain(name: str) -> str:
    """Lower case without accents, points and doubled spaces: ``U.S.A.`` and ``usa`` are one name."""
    letters = unicodedata.normalize("NFD", name).replace(".", "")
    return " ".join("".join(sign for sign in letters if not unicodedata.combining(sign)).casefold().split())


_PROPER = _entries(_NAMES)
_BY_NAME = {_plain(name): code for name, code in _PROPER + _entries(_OTHER_NAMES)}
_CODES = frozenset(code for _, code in _PROPER)
_SHOWN = {_plain(name): name for name, _ in _PROPER}


def code_of(name: str) -> str | None:
    """The alpha-2 code of a country's name or code; None for what is neither."""
    if name.strip().upper() in _CODES:
        return name.strip().upper()
    return _BY_NAME.get(_plain(name))


def closest(name: str) -> tuple[str, str] | None:
    """The country that was probably meant, as ``(name, code)``."""
    found = get_close_matches(_plain(name), _SHOWN, n=1, cutoff=0.8)
    return (_SHOWN[found[0]], _BY_NAME[found[0]]) if found else None
