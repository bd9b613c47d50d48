"""Writes the questions of this example, by rule and seed: python make.py [--seed S] [--items N]

Sums of two numbers from 11 to 99; the largest of three different numbers from 100 to 999; capitals of one word, of
countries first, then of more countries and of states, as many as there are. Each file is a draw without repetition, and
without what the examples in the prompt show; a longer one begins as a shorter one does.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

Row = dict[str, object]

HERE = Path(__file__).parent
SHOWN_SUMS = {(38, 25), (64, 19)}
CAPITALS = (
    "Afghanistan Kabul, Albania Tirana, Algeria Algiers, Angola Luanda, Armenia Yerevan, Australia Canberra, "
    "Austria Vienna, Azerbaijan Baku, Bahrain Manama, Bangladesh Dhaka, Barbados Bridgetown, Belarus Minsk, "
    "Belgium Brussels, Belize Belmopan, Botswana Gaborone, Bulgaria Sofia, Canada Ottawa, "
    "Chile Santiago, China Beijing, Croatia Zagreb, Cuba Havana, Cyprus Nicosia, Denmark Copenhagen, Ecuador Quito, "
    "Egypt Cairo, Eritrea Asmara, Estonia Tallinn, Fiji Suva, Finland Helsinki, Gabon Libreville, Gambia Banjul, "
    "Georgia Tbilisi, Germany Berlin, Ghana Accra, Greece Athens, Guinea Conakry, Guyana Georgetown, Honduras "
    "Tegucigalpa, Hungary Budapest, Indonesia Jakarta, Iran Tehran, Iraq Baghdad, Ireland Dublin, "
    "Italy Rome, Jamaica Kingston, Jordan Amman, Kenya Nairobi, Laos Vientiane, Latvia Riga, Lebanon Beirut, "
    "Lesotho Maseru, Liberia Monrovia, Libya Tripoli, Lithuania Vilnius, Madagascar Antananarivo, Malawi Lilongwe, "
    "Mali Bamako, Malta Valletta, Mauritania Nouakchott, Morocco Rabat, Mozambique Maputo, "
    "Namibia Windhoek, Nepal Kathmandu, Nicaragua Managua, Niger Niamey, Nigeria Abuja, Norway Oslo, Oman Muscat, "
    "Pakistan Islamabad, Peru Lima, Philippines Manila, Poland Warsaw, Portugal Lisbon, Qatar Doha, Romania "
    "Bucharest, Russia Moscow, Rwanda Kigali, Senegal Dakar, Serbia Belgrade, Slovakia Bratislava, Slovenia "
    "Ljubljana, Somalia Mogadishu, Spain Madrid, Sudan Khartoum, Suriname Paramaribo, Sweden Stockholm, "
    "Syria Damascus, Thailand Bangkok, Tunisia Tunis, Turkey Ankara, Uganda Kampala, Uruguay "
    "Montevideo, Uzbekistan Tashkent, Venezuela Caracas, Vietnam Hanoi, Zambia Lusaka, Zimbabwe Harare"
)
MORE_CAPITALS = (
    "Bhutan Thimphu, Burundi Gitega, Comoros Moroni, Dominica Roseau, Eswatini Mbabane, Iceland Reykjavik, "
    "Kazakhstan Astana, Kosovo Pristina, Kyrgyzstan Bishkek, Liechtenstein Vaduz, Moldova Chisinau, "
    "Mongolia Ulaanbaatar, Montenegro Podgorica, Myanmar Naypyidaw, Palau Ngerulmud, Paraguay Asuncion, Samoa Apia, "
    "Seychelles Victoria, Tajikistan Dushanbe, Tanzania Dodoma, Togo Lome, Turkmenistan Ashgabat, Tuvalu Funafuti, "
    "Yemen Sanaa, Alabama Montgomery, Alaska Juneau, Arizona Phoenix, California Sacramento, Colorado Denver, "
    "Connecticut Hartford, Delaware Dover, Florida Tallahassee, Hawaii Honolulu, Idaho Boise, Illinois Springfield, "
    "Indiana Indianapolis, Kansas Topeka, Kentucky Frankfort, Maine Augusta, Maryland Annapolis, "
    "Massachusetts Boston, Michigan Lansing, Mississippi Jackson, Montana Helena, Nebraska Lincoln, Ohio Columbus, "
    "Oregon Salem, Pennsylvania Harrisburg, Tennessee Nashville, Texas Austin, Vermont Montpelier, "
    "Virginia Richmond, Washington Olympia, Wisconsin Madison, Wyoming Cheyenne"
)


def sums(draw: random.Random, items: int) -> list[Row]:
    """Two numbers to add."""
    pairs = [(a, b) for a in range(11, 100) for b in range(11, 100) if (a, b) not in SHOWN_SUMS]
    return [
        {"id": f"{a}+{b}", "prompt": f"What is {a} + {b}?", "reference": a + b} for a, b in draw.sample(pairs, items)
    ]


def largest(draw: random.Random, items: int) -> list[Row]:
    """Three numbers to compare."""
    triples: dict[tuple[int, ...], None] = {}
    while len(triples) < items:
        triples[tuple(draw.sample(range(100, 1000), 3))] = None
    return [
        {"id": f"{a},{b},{c}", "prompt": f"Which is the largest of {a}, {b} and {c}?", "reference": max(a, b, c)}
        for a, b, c in triples
    ]


def capitals(draw: random.Random, items: int) -> list[Row]:
    """Countries and states whose capital has a name of one word."""
    lists = [[pair.split() for pair in text.split(", ")] for text in (CAPITALS, MORE_CAPITALS)]
    drawn = [pair for pairs in lists for pair in draw.sample(pairs, len(pairs))]
    return [
        {"id": land, "prompt": f"What is the capital of {land}?", "reference": city} for land, city in drawn[:items]
    ]


KINDS = {"sums": sums, "largest": largest, "capitals": capitals}


def rows(kind: str, seed: int = 0, items: int = 320) -> str:
    """So many JSONL rows of a kind."""
    return "".join(json.dumps(row) + "\n" for row in KINDS[kind](random.Random(f"votes:{kind}:{seed}"), items))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--items", type=int, default=320)
    given = arguments.parse_args()
    for kind in KINDS:
        (HERE / f"{kind}.jsonl").write_text(rows(kind, given.seed, given.items))
